//! Whole runs against a real shop: in order, resumed after a crash, stopped, stale, lost, verified.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::actions::ActionsConfig;
use crate::actions::toy::{Journal, Manner, Shop, actions, approve, in_short, verification};
use crate::incident::approval::Risk;
use serde_json::json;

/// Rolls the shop back, then writes a line; verified by the health page.
fn yaml(shop: &Shop, note: &str) -> String {
    let url = &shop.url;
    format!(
        r#"
limits: {{ verify_within: 2s, verify_every: 10ms, plan_within: 5s }}
actions:
  rollback:
    title: Roll back the shop
    service: shop
    class: urgent
    risk: reversible
    expected: 30s
    why: [The new version breaks the checkout]
    cautions: [Not when the data is bad]
    steps:
      - http_switch:
          target: shop version
          read: {{ url: "{url}/version", current: /current, previous: /previous }}
          set: {{ url: "{url}/version", body: {{ version: "{{{{to}}}}" }} }}
          settle: 300ms
      - title: Note it down
        command: {{ target: note, risk: reversible, to: noted, argv: [sh, -c, "{note}"] }}
    verify: [health]
services:
  shop:
    - {{ key: health, title: Health, http: {{ url: "{url}/health" }} }}
"#
    )
}

fn nothing_else<'a>() -> BoxFuture<'a, Result<BTreeSet<String>, NotCommitted>> {
    Box::pin(std::future::ready(Ok(BTreeSet::new())))
}

struct Setup {
    shop: Shop,
    actions: Actions,
    plan: ActionPlan,
    journal: Journal,
    stop: AtomicBool,
}

async fn setup_with(note: &str) -> Setup {
    let shop = Shop::open().await;
    let actions = actions(&yaml(&shop, note));
    let plan = actions.make_plan("rollback", None).await.unwrap();
    Setup { shop, actions, plan, journal: Journal::default(), stop: AtomicBool::new(false) }
}

async fn setup() -> Setup {
    setup_with("echo noted").await
}

impl Setup {
    async fn execute(&self, done_steps: usize, in_doubt: Option<usize>) -> Result<Outcome, NotCommitted> {
        self.resume((0..done_steps).collect(), None, in_doubt).await
    }

    async fn resume(
        &self,
        ended: BTreeSet<usize>,
        halted: Option<Halt>,
        in_doubt: Option<usize>,
    ) -> Result<Outcome, NotCommitted> {
        let report = |report| self.journal.commit(report);
        let stop_asked = || self.stop_asked();
        let execution = Execution {
            fence: 7,
            attempt: 7,
            ended,
            halted,
            in_doubt,
            report: &report,
            stop_asked: &stop_asked,
            in_use: &nothing_else,
            progress: &|_, _| {},
        };
        self.actions.execute(&approve(&self.plan), &execution).await.map(in_short)
    }

    fn stop_asked(&self) -> BoxFuture<'_, Result<bool, NotCommitted>> {
        Box::pin(std::future::ready(Ok(self.stop.load(Ordering::SeqCst))))
    }

    fn sets(&self) -> usize {
        self.shop.with(|shop| shop.sets.len())
    }

    fn words(&self) -> Vec<String> {
        let mut words = self.journal.words();
        // How long the program ran is nobody's promise.
        for word in &mut words {
            if let Some((start, _)) = word.split_once(" after ") {
                *word = start.to_owned();
            }
        }
        words
    }
}

const SWITCHED: &str = "finished 0: shop version is at 1.2.3";
const NOTED: [&str; 5] = ["started 1", "finished 1: sh ended well", "verifying", "verified health Pass", "ended done"];

#[tokio::test]
async fn the_plan_has_the_figures_of_the_moment_and_the_verification() {
    let shop = Shop::open().await;
    shop.with(|shop| shop.health = vec![(500, json!({}))]);
    let plan = actions(&yaml(&shop, "true")).make_plan("rollback", None).await.unwrap();
    assert_eq!(plan.why.len(), 2);
    assert_eq!(plan.why[0], "The new version breaks the checkout");
    assert!(plan.why[1].starts_with("Health: 500 in ") && plan.why[1].ends_with("(limit 200)"), "{:?}", plan.why);
    assert_eq!(plan.steps[1].title, "Note it down");
    assert_eq!((plan.from_to(), plan.risk()), ((Some("1.3.0"), "1.2.3"), Risk::Reversible));
    let mut wanted = verification("health");
    wanted.title = "Health".into();
    assert_eq!(plan.verification, [wanted]);
    shop.with(|shop| shop.health = vec![(200, json!({}))]);
    let again = actions(&yaml(&shop, "true")).make_plan("rollback", None).await.unwrap();
    assert_eq!(again.why[1], "The only check passes at this moment.");
}

#[tokio::test]
async fn one_action_changes_each_thing_once_and_an_unknown_action_is_named() {
    let shop = Shop::open().await;
    let twice = yaml(&shop, "true").replace("target: note", "target: shop version");
    let config: ActionsConfig = serde_saphyr::from_str(&twice).unwrap();
    let faults: Vec<String> = config.validate().iter().map(ToString::to_string).collect();
    assert!(faults.len() == 1 && faults[0].contains("step 1 changes shop version before it"), "{faults:?}");
    let fault = actions(&yaml(&shop, "true")).make_plan("rolback", None).await.unwrap_err();
    assert_eq!(fault.words(), "There is no action “rolback” in the configuration.");
}

#[tokio::test]
async fn a_run_does_its_steps_in_order_verifies_and_reports_each_event() {
    let setup = setup().await;
    assert_eq!(setup.execute(0, None).await, Ok(Outcome::Done));
    let wanted = ["started 0", SWITCHED].into_iter().chain(NOTED);
    assert_eq!(setup.words(), wanted.collect::<Vec<_>>());
    assert_eq!(setup.shop.version(), "1.2.3");
}

#[tokio::test]
async fn a_run_can_be_spawned_so_it_never_holds_up_the_lane() {
    let setup = setup().await;
    let outcome = tokio::spawn(async move { setup.execute(0, None).await }).await.unwrap();
    assert_eq!(outcome, Ok(Outcome::Done));
}

#[tokio::test]
async fn a_resumed_run_does_not_repeat_what_is_done() {
    let setup = setup().await;
    assert_eq!(setup.execute(1, None).await, Ok(Outcome::Done));
    assert_eq!(setup.words(), NOTED);
    assert_eq!(setup.sets(), 0);
}

#[tokio::test]
async fn a_step_in_doubt_is_looked_at_first_and_not_repeated_when_it_happened() {
    let setup = setup().await;
    setup.shop.with(|shop| shop.current = "1.2.3".into());
    assert_eq!(setup.execute(0, Some(0)).await, Ok(Outcome::Done));
    assert_eq!(setup.words(), [SWITCHED].into_iter().chain(NOTED).collect::<Vec<_>>());
    assert_eq!(setup.sets(), 0);
}

#[tokio::test]
async fn a_step_in_doubt_that_did_not_happen_is_done_now() {
    let setup = setup().await;
    assert_eq!(setup.execute(0, Some(0)).await, Ok(Outcome::Done));
    assert_eq!(setup.words(), ["started 0", SWITCHED].into_iter().chain(NOTED).collect::<Vec<_>>());
    assert_eq!(setup.sets(), 1);
}

#[tokio::test]
async fn a_step_in_doubt_that_nobody_can_look_at_is_left_to_a_person() {
    let setup = setup().await;
    let Ok(Outcome::Unknown { step: 1, why }) = setup.execute(1, Some(1)).await else { panic!() };
    assert!(why.starts_with("the execution was interrupted, and note has no check_command"), "{why}");
    assert_eq!(setup.words().len(), 1, "the program must not run again: {:?}", setup.words());
}

#[tokio::test]
async fn a_lost_answer_is_settled_by_looking_and_never_by_asking_again() {
    for (manner, happened) in [(Manner::LosesAnswer, true), (Manner::LosesRequest, false)] {
        let setup = setup().await;
        setup.shop.behaves(manner);
        let outcome = setup.execute(0, None).await.unwrap();
        assert_eq!(setup.sets(), 1);
        if happened {
            assert_eq!(outcome, Outcome::Done);
            assert!(setup.words()[1].starts_with("finished 0: shop version is at 1.2.3 (the answer"));
        } else {
            let Outcome::Failed { step: Some(0), why } = outcome else { panic!("{outcome:?}") };
            assert!(why.contains("was lost") && why.ends_with("shop version still is at 1.3.0"), "{why}");
            assert_eq!(setup.words().len(), 2);
        }
    }
}

#[tokio::test]
async fn a_lost_answer_that_cannot_be_settled_is_unknown() {
    let setup = setup().await;
    setup.shop.behaves(Manner::LosesRequest);
    setup.shop.with(|shop| shop.current = "1.3.0".into());
    let shop = setup.shop.clone();
    // Somebody else switches while the answer is lost.
    let report = move |report: Report| -> BoxFuture<'_, Result<(), NotCommitted>> {
        let shop = shop.clone();
        Box::pin(async move {
            if let Report::RunFinished { .. } = report {
                assert_eq!(shop.version(), "1.3.0");
            }
            Ok(())
        })
    };
    let progress_shop = setup.shop.clone();
    let progress = move |_: usize, now: Words| {
        if now.plain() == "shop version is at 1.3.0" {
            progress_shop.with(|shop| shop.reading = Some((502, "bad gateway".into())));
        }
    };
    let stop_asked = || setup.stop_asked();
    let execution = Execution {
        fence: 7,
        attempt: 7,
        ended: BTreeSet::new(),
        halted: None,
        in_doubt: None,
        report: &report,
        stop_asked: &stop_asked,
        in_use: &nothing_else,
        progress: &progress,
    };
    let outcome = setup.actions.execute(&approve(&setup.plan), &execution).await.unwrap();
    let Outcome::Unknown { step: 0, why } = outcome else { panic!("{outcome:?}") };
    assert!(why.ends_with("shop version could not be read: it answered 502: bad gateway"), "{why}");
}

#[tokio::test]
async fn a_world_that_moved_since_the_plan_ends_the_run_as_stale() {
    let setup = setup().await;
    setup.shop.with(|shop| shop.current = "1.3.1".into());
    let found = "shop version is at 1.3.1".into();
    assert_eq!(setup.execute(0, None).await, Ok(Outcome::Stale { step: 0, found }));
    assert_eq!((setup.sets(), setup.words().len()), (0, 2));
}

#[tokio::test]
async fn an_action_edited_after_approval_runs_nothing_and_a_step_in_doubt_of_it_is_unknown() {
    let mut setup = setup().await;
    let edited = yaml(&setup.shop, "echo noted").replace("target: shop version", "target: shop release");
    setup.actions = actions(&edited);
    let found = reconfigured().plain();
    assert_eq!(setup.execute(0, None).await, Ok(Outcome::Stale { step: 0, found }));
    assert!(matches!(setup.execute(0, Some(0)).await, Ok(Outcome::Unknown { step: 0, .. })));
    assert_eq!(setup.sets(), 0);
}

#[test]
fn of_a_step_that_had_begun_nothing_was_changed_is_not_believed_without_a_look() {
    let gone = || Words::new("reason.broken_off");
    let target = |key| Words::new(key).with("target", "shop");
    let unchanged = StepResult::failed(Words::new("step.unchanged").with("why", gone()));
    assert_eq!(unchanged.taken_up(), StepResult::unknown(gone()));
    let unread = StepResult::failed(target("step.unread_before").with("why", gone()));
    assert_eq!(unread.taken_up(), StepResult::unknown(target("step.unread").with("why", gone())));
    let moved = || target("step.is_at").with("at", "v3");
    assert_eq!(StepResult::stale(moved()).taken_up(), StepResult::unknown(moved()));
    for told in [StepResult::failed(target("step.program_exit")), StepResult::done(moved())] {
        assert_eq!(told.clone().taken_up(), told);
    }
}

#[tokio::test]
async fn somebody_can_stop_a_run_before_its_next_step() {
    let setup = setup().await;
    setup.stop.store(true, Ordering::SeqCst);
    assert_eq!(setup.execute(1, None).await, Ok(Outcome::Stopped { done: 1 }));
    assert_eq!(setup.words(), ["ended stopped 1"]);
}

#[tokio::test]
async fn a_failing_step_ends_the_run_with_its_output_and_nothing_comes_after() {
    let setup = setup_with("echo trying; exit 3").await;
    let why = "sh ended with 3: trying".into();
    assert_eq!(setup.execute(0, None).await, Ok(Outcome::Failed { step: Some(1), why }));
    let reports = setup.journal.reports.lock().unwrap();
    let Some(Report::RunFinished { output, .. }) = reports.last() else { panic!() };
    assert_eq!(output.as_deref(), Some("trying"));
    assert_eq!(reports.len(), 4);
}

#[tokio::test]
async fn verification_is_asked_again_until_it_comes_right() {
    let setup = setup().await;
    setup.shop.with(|shop| shop.health = vec![(503, json!({})), (503, json!({})), (200, json!({}))]);
    assert_eq!(setup.execute(2, None).await, Ok(Outcome::Done));
    assert_eq!(setup.words(), ["verifying", "verified health Pass", "ended done"]);
}

#[tokio::test]
async fn a_run_whose_verification_fails_is_no_success() {
    let shop = Shop::open().await;
    let yaml = yaml(&shop, "true").replace("verify_within: 2s", "verify_within: 1s");
    let actions = actions(&yaml);
    let plan = actions.make_plan("rollback", None).await.unwrap();
    shop.with(|shop| shop.health = vec![(503, json!({}))]);
    let setup = Setup { shop, actions, plan, journal: Journal::default(), stop: AtomicBool::new(false) };
    let Ok(Outcome::Failed { step: None, why }) = setup.execute(2, None).await else { panic!() };
    assert!(why.starts_with("Health: 503 in "), "{why}");
}

#[tokio::test]
async fn nothing_goes_on_when_a_report_could_not_be_committed() {
    let mut setup = setup().await;
    setup.journal.fails_after = Some(0);
    assert!(setup.execute(0, None).await.is_err());
    assert_eq!(setup.sets(), 0, "a step must not run before its start is committed");
    setup.journal.fails_after = Some(1);
    assert!(setup.execute(0, None).await.is_err());
    assert_eq!((setup.sets(), setup.words()), (1, vec!["started 0".to_owned()]));
}

/// Stops a worker, restores, starts the worker again whatever happens. Each appends a word to a file.
struct Closing {
    folder: tempfile::TempDir,
    setup: Setup,
}

impl Closing {
    async fn open(restore: &str, start: &str) -> Self {
        let (shop, folder) = (Shop::open().await, tempfile::tempdir().unwrap());
        let (url, path) = (shop.url.clone(), folder.path().join("log").display().to_string());
        let step = |target: &str, title: &str, what: &str, more: &str| {
            format!(
                "      - title: {title}\n        command: {{ target: {target}, risk: reversible, to: {title}, {more} \
                 argv: [sh, -c, \"echo {title} >> {path}; {what}\"] }}\n"
            )
        };
        let yaml = format!(
            "limits: {{ verify_within: 2s, verify_every: 10ms }}\nactions:\n  restore:\n    title: Restore\n    \
             service: shop\n    class: urgent\n    risk: destructive\n    expected: 30s\n    steps:\n{}{}{}    \
             verify: [health]\nservices:\n  shop:\n    - {{ key: health, http: {{ url: \"{url}/health\" }} }}\n",
            step("worker", "stop", "true", ""),
            step("database", "restore", restore, ""),
            step("worker", "start", start, "again: true,")
                .replace("      - title", "      - always: true\n        title"),
        );
        let actions = actions(&yaml);
        let plan = actions.make_plan("restore", None).await.unwrap();
        assert_eq!((plan.steps[2].always, plan.steps[2].after.as_slice()), (true, &[0][..]));
        let setup = Setup { shop, actions, plan, journal: Journal::default(), stop: AtomicBool::new(false) };
        Self { folder, setup }
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.replace('\n', " ").trim().to_owned()
    }
}

#[tokio::test]
async fn a_later_step_may_take_up_where_an_earlier_one_of_the_same_plan_leaves_off() {
    let closing = Closing::open("true", "true").await;
    assert_eq!(closing.setup.execute(0, None).await, Ok(Outcome::Done));
    assert_eq!(closing.log(), "stop restore start");
}

#[tokio::test]
async fn what_was_stopped_starts_again_when_the_step_between_fails() {
    let closing = Closing::open("exit 3", "true").await;
    let why = "sh ended with 3".into();
    assert_eq!(closing.setup.execute(0, None).await, Ok(Outcome::Failed { step: Some(1), why }));
    assert_eq!(closing.log(), "stop restore start");
    let words = closing.setup.words();
    assert_eq!(
        &words[2..],
        [
            "started 1",
            "halted 1: failed Some(1): sh ended with 3",
            "started 2",
            "finished 2: sh ended well",
            "ended failed Some(1): sh ended with 3"
        ]
    );
}

#[tokio::test]
async fn a_crash_between_the_failure_and_the_closing_step_still_closes() {
    let closing = Closing::open("exit 3", "true").await;
    let why: Words = Words::verbatim("the dump is damaged");
    let halted = Some(Halt::new(Outcome::Failed { step: Some(1), why: why.clone() }));
    assert_eq!(
        closing.setup.resume([0, 1].into(), halted, None).await,
        Ok(Outcome::Failed { step: Some(1), why: why.plain() })
    );
    assert_eq!(closing.log(), "start", "nothing is repeated and the rest stays left out");
}

#[tokio::test]
async fn nothing_is_started_on_what_nobody_knows() {
    let closing = Closing::open("true", "true").await;
    let Ok(Outcome::Unknown { step: 1, why }) = closing.setup.execute(1, Some(1)).await else { panic!() };
    assert!(why.ends_with("; start: not done, for nobody knows how things stand"), "{why}");
    assert_eq!(closing.log(), "");
}

#[tokio::test]
async fn a_closing_step_that_fails_is_told_beside_the_first_failure() {
    let closing = Closing::open("exit 3", "exit 4").await;
    let why = "sh ended with 3; start: sh ended with 4".into();
    assert_eq!(closing.setup.execute(0, None).await, Ok(Outcome::Failed { step: Some(1), why }));
    assert_eq!(closing.log(), "stop restore start");
}

#[tokio::test]
async fn a_run_that_is_stopped_closes_what_it_opened_and_nothing_else() {
    let closing = Closing::open("true", "true").await;
    closing.setup.stop.store(true, Ordering::SeqCst);
    assert_eq!(closing.setup.execute(1, None).await, Ok(Outcome::Stopped { done: 1 }));
    assert_eq!(closing.log(), "start");
    let closing = Closing::open("true", "true").await;
    closing.setup.stop.store(true, Ordering::SeqCst);
    assert_eq!(closing.setup.execute(0, None).await, Ok(Outcome::Stopped { done: 0 }));
    assert_eq!(closing.log(), "", "nothing was opened");
}
