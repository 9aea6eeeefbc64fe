//! Any other system (X3) through the whole bot: a request with its idempotency key and what its answer must say, and a
//! program with an argument list.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use vigie::incident::approval::Outcome;

use crate::french::is_french;
use crate::platforms::maintenance::Maintenance;
use crate::platforms::{Desk, Trouble, Which};
use crate::room::Room;
use crate::runbook::{self, Runbook};
use crate::world::shown;

const TOKEN: &str = "maintenance-token-for-tests";
const TRUE: &str = "command: { argv: [\"true\"] }";

/// A request that is believed only when three nodes have done it and the page is seen to be up.
fn call(base: &str, token: &str) -> String {
    let headers = format!("headers: {{ Authorization: \"Bearer {token}\" }}");
    format!(
        "http_call:\n  target: maintenance page\n  to: \"on\"\n  risk: reversible\n  url: \"{base}/page\"\n  {headers}\n  \
         body: {{ state: \"{{{{to}}}}\" }}\n  \
         fields: [{{ field: /state, equals: up }}, {{ field: /nodes/done, at_least: 3 }}]\n  \
         probe: {{ url: \"{base}/page\", {headers}, field: /state, equals: up, settle: 200ms }}"
    )
}

async fn scene() -> (Desk<Maintenance>, Room) {
    let desk = Desk::open(Maintenance::new()).await;
    let room = Room::with_step(&format!("within: 2s\n{}", call(&desk.url, TOKEN)));
    (desk, room)
}

#[tokio::test]
async fn what_is_asked_for_twice_by_one_name_is_done_once() {
    let (desk, room) = scene().await;
    let plan = room.planned().await;
    assert_eq!(room.run(&plan).await.line(), "done");
    // Somebody takes the page down; the run's owner was lost, and a new one asks again by the same name.
    desk.with(|page| page.is_up = false);
    let ran = room.taken_up(&plan).await;
    assert_eq!(desk.with(|page| page.done), 1, "{}", ran.everything());
    assert!(ran.line().starts_with("failed: step.both"), "{}", ran.line());
    assert!(ran.line().contains("step.yes_but_still_at"), "{}", ran.line());
    let keys: Vec<_> = desk
        .calls()
        .into_iter()
        .filter(|call| call.is_write())
        .map(|call| call.idempotency_key().map(str::to_owned))
        .collect();
    assert_eq!(keys, [Some("run_7_1-step-1-0".to_owned()), Some("run_7_1-step-1-0".to_owned())]);
}

#[tokio::test]
async fn a_yes_that_does_not_say_what_it_must_is_a_failure() {
    let (desk, room) = scene().await;
    desk.with(|page| page.cannot = true);
    let line = room.goes().await.line();
    assert!(line.starts_with("failed: step.yes_but") && line.contains("/state") && line.contains("stuck"), "{line}");
    for (trouble, wanted) in [
        (Trouble::Garbled, "failed: step.both"),
        (Trouble::Flood(100 << 20), "failed: step.both"),
        (Trouble::LosesRequest, "failed: step.both"),
        (Trouble::Silent, "failed: step.both"),
    ] {
        let (desk, room) = scene().await;
        desk.with(|page| page.cannot = true);
        let told = format!("{trouble:?}");
        desk.next(Which::Write, trouble);
        let ran = room.goes().await;
        assert!(ran.line().starts_with(wanted), "{told}: {}", ran.line());
        assert!(ran.everything().len() < 20_000 && !ran.everything().contains(TOKEN), "{told}");
    }
}

/// X3, P3 · a request, in both languages.
#[tokio::test]
async fn a_maintenance_page_is_put_up_from_slack() {
    for locale in ["en", "fr"] {
        let desk = Desk::open(Maintenance::new()).await;
        let step = call(&desk.url, runbook::TOKEN).replace('\n', "\n  ");
        let runbook = Runbook::open(locale, TRUE, &format!("- {step}")).await;
        desk.with(|page| page.token = runbook.token());
        let (channel, card) = runbook.planned().await;
        assert!(shown(&card).contains("maintenance page"), "{}", shown(&card));
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert!(desk.with(|page| page.is_up && page.done == 1));
        let writes: Vec<_> = desk.calls().into_iter().filter(|call| call.is_write()).collect();
        assert!(writes[0].idempotency_key().is_some_and(|key| key.starts_with("run_1_1-step-1-")), "{:?}", writes[0]);
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains("maintenance page"), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}

/// A file that says how many workers there are, and the team's own programs around it.
struct Queue {
    folder: TempDir,
}

impl Queue {
    fn open() -> Self {
        let queue = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        std::fs::write(queue.state(), "3").expect("it can be written");
        let state = queue.state().display().to_string();
        queue.program(
            "plan",
            &format!("printf '{{\"from\": \"%s\", \"to\": \"0\", \"diff\": [\"workers stop\"]}}' \"$(cat {state})\""),
        );
        queue.program(
            "set",
            &format!("echo \"mot de passe $QUEUE_PASSWORD\"; printf %s \"$1\" >{state}; echo \"$VIGIE_RUN_ID\""),
        );
        queue.program("check", &format!("[ \"$(cat {state})\" = \"$1\" ]"));
        queue.program("hang", "trap '' TERM; yes 'the same line again and again' & echo begun; while :; do wait; done");
        queue
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("workers")
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it can be made to run");
    }

    fn step(&self, program: &str, token: &str) -> String {
        let folder = self.folder.path().display();
        format!(
            "- within: 2s\n  command:\n    target: queue workers\n    risk: reversible\n    \
             argv: [\"{folder}/{program}\", \"{{{{to}}}}\"]\n    plan_command: [\"{folder}/plan\"]\n    \
             check_command: [\"{folder}/check\", \"{{{{to}}}}\"]\n    place: {{ secrets: {{ QUEUE_PASSWORD: \"{token}\" }} }}\n"
        )
    }
}

/// X3, P3 · a program that plans, does and checks, in both languages; what it prints of a secret is blacked out.
#[tokio::test]
async fn a_teams_own_program_runs_from_slack() {
    for locale in ["en", "fr"] {
        let queue = Queue::open();
        let runbook = Runbook::open(locale, TRUE, &queue.step("set", runbook::TOKEN)).await;
        let (channel, card) = runbook.planned().await;
        assert!(shown(&card).contains("3 → 0") && shown(&card).contains("workers stop"), "{}", shown(&card));
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!(std::fs::read_to_string(queue.state()).expect("it can be read"), "0");
        let timeline = runbook.world.timeline("U0ONCALL", 1).await;
        assert!(timeline.contains("queue workers"), "{timeline}");
        if locale == "fr" {
            is_french(&runbook.world);
        }
        runbook.close_without(&[]).await;
    }
}

/// X3 · a child that floods and does not listen is ended with its whole group, and asked about.
#[tokio::test]
async fn a_program_that_floods_and_ignores_the_end_is_ended_and_told() {
    let queue = Queue::open();
    let runbook = Runbook::open("en", TRUE, &queue.step("hang", runbook::TOKEN)).await;
    let (channel, card) = runbook.planned().await;
    let told = runbook.approved(&channel, &card).await;
    let Outcome::Failed { why, .. } = runbook.outcome().await else { panic!("{told}") };
    assert!(why.to_string().contains("step.program_late") && why.to_string().contains("step.checker_no"), "{why}");
    let group = format!("{}/", queue.folder.path().display());
    let left = std::process::Command::new("pgrep").args(["-f", &group]).output().expect("pgrep starts");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "nothing is left running");
    runbook.close_without(&[]).await;
}
