//! Real programs that plan, act and check, around a file that stands for the system.

use super::*;
use crate::actions::toy::{plain, plainly, world_with};
use crate::incident::time::Instant;
use serde_json::json;

struct Bench {
    folder: tempfile::TempDir,
    world: World,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("version"), "1.3.0").unwrap();
        std::fs::write(folder.path().join("previous"), "1.2.3").unwrap();
        Self { folder, world: world_with(&["db-pa55word"]) }
    }

    fn version(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("version")).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// A program that switches, with one that plans.
    fn step(&self, act: &str, more: serde_json::Value) -> CommandStep {
        let plan = r#"printf '{"from":"%s","to":"%s","diff":["one file"]}' "$(cat version)" "$(cat previous)""#;
        let mut config = json!({
            "target": "shop files",
            "risk": "reversible",
            "argv": ["sh", "-c", act, "sh", "{{to}}"],
            "place": {"cwd": self.folder.path(), "secrets": {"DB_PASSWORD": "db-pa55word"}},
            "plan_command": ["sh", "-c", plan],
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    async fn plan(&self, step: &CommandStep) -> Result<PlannedStep, PlanFault> {
        step.plan(&PlanContext {
            world: &self.world,
            within: Duration::from_secs(10),
            wanted: None,
            earlier: &[],
            done_by: None,
        })
        .await
    }

    fn context(&self, within: Duration) -> StepContext<'_> {
        let run = "run_7_1".parse().unwrap();
        StepContext {
            world: &self.world,
            run,
            asked_at: Instant(0),
            step: 0,
            fence: 42,
            attempt: 42,
            begun: false,
            within,
            progress: &|_| {},
            in_use: &crate::actions::toy::NothingElse,
        }
    }

    async fn execute(&self, step: &CommandStep, planned: &PlannedStep) -> StepResult {
        plain(step.execute(planned, &self.context(Duration::from_secs(10))).await)
    }

    async fn check(&self, step: &CommandStep, planned: &PlannedStep) -> Happened {
        plainly(step.check(planned, &self.context(Duration::from_secs(10))).await)
    }
}

const SWITCH: &str =
    r#"echo "run $VIGIE_RUN_ID step $VIGIE_STEP fence $VIGIE_FENCE with $DB_PASSWORD"; printf %s "$1" > version"#;

#[tokio::test]
async fn the_plan_comes_from_the_planning_program_and_shows_the_exact_arguments() {
    let bench = Bench::new();
    let step = bench.step("true", json!({}));
    let planned = bench.plan(&step).await.unwrap();
    assert_eq!(planned.title, "shop files: 1.3.0 → 1.2.3");
    assert_eq!(planned.diff, ["one file", "runs: sh -c true sh 1.2.3"]);
    bench.write("version", "1.2.3");
    assert_eq!(bench.plan(&step).await.unwrap_err().words(), "shop files is already at 1.2.3.");
}

#[tokio::test]
async fn a_planning_program_that_says_no_is_quoted() {
    let bench = Bench::new();
    let refusing = json!(["sh", "-c", "echo no migration can be undone >&2; exit 1"]);
    let fault = bench.plan(&bench.step("true", json!({"plan_command": refusing}))).await.unwrap_err();
    assert_eq!(fault.words(), "shop files cannot be changed now: no migration can be undone.");
    let chatty = json!(["echo", "Hello"]);
    let fault = bench.plan(&bench.step("true", json!({"plan_command": chatty}))).await.unwrap_err();
    assert!(fault.words().contains("the planning program did not print from, to and diff as JSON"), "{fault}");
}

#[tokio::test]
async fn a_program_knows_its_run_and_its_output_comes_back_without_secrets() {
    let bench = Bench::new();
    let step = bench.step(SWITCH, json!({}));
    let planned = bench.plan(&step).await.unwrap();
    let StepResult::Done { note, output, .. } = bench.execute(&step, &planned).await else { panic!() };
    assert!(note.starts_with("sh ended well after"), "{note}");
    assert_eq!(output.as_deref(), Some("run run_7_1 step 1 fence 42 with [redacted]"));
    assert_eq!(bench.version(), "1.2.3");
    assert_eq!(bench.execute(&step, &planned).await, StepResult::done("shop files already was at 1.2.3".into()));
}

#[tokio::test]
async fn a_world_that_moved_since_the_plan_is_left_alone() {
    let bench = Bench::new();
    let step = bench.step(SWITCH, json!({}));
    let planned = bench.plan(&step).await.unwrap();
    bench.write("version", "1.3.1");
    assert_eq!(bench.execute(&step, &planned).await, StepResult::stale("shop files is at 1.3.1".into()));
    assert_eq!(bench.version(), "1.3.1");
    let edited = bench.step("echo something else", json!({}));
    assert_eq!(bench.execute(&edited, &planned).await, plain(StepResult::stale(reconfigured())));
}

#[tokio::test]
async fn a_failing_program_is_a_failure_with_its_last_words() {
    let bench = Bench::new();
    let step = bench.step("echo working; echo disk full >&2; exit 4", json!({}));
    let planned = bench.plan(&step).await.unwrap();
    let output = Some("working\n--- standard error ---\ndisk full".to_owned());
    let wanted = StepResult::Failed { why: "sh ended with 4: disk full".into(), output };
    assert_eq!(bench.execute(&step, &planned).await, wanted);
}

#[tokio::test]
async fn a_program_that_is_not_there_changed_nothing() {
    let bench = Bench::new();
    let step = bench.step("true", json!({"argv": ["no-such-program-here"]}));
    let planned = bench.plan(&step).await.unwrap();
    let StepResult::Failed { why, .. } = bench.execute(&step, &planned).await else { panic!() };
    assert!(why.starts_with("“no-such-program-here” could not be started") && why.ends_with("nothing was changed"));
}

#[tokio::test]
async fn a_program_cut_off_at_its_deadline_is_unknown_with_what_it_said_so_far() {
    let bench = Bench::new();
    let step = bench.step("echo half way; exec sleep 60", json!({}));
    let planned = bench.plan(&step).await.unwrap();
    let result = plain(step.execute(&planned, &bench.context(Duration::from_secs(2))).await);
    let why = "sh did not end within 2 s and was ended".into();
    assert_eq!(result, StepResult::Unknown { why, output: Some("half way".into()) });
}

#[tokio::test]
async fn the_checking_program_tells_what_happened_and_anything_but_0_and_1_leaves_it_to_a_person() {
    let bench = Bench::new();
    let check = json!(["sh", "-c", r#"test -e broken && exit 7; test "$(cat version)" = "$1""#, "sh", "{{to}}"]);
    let step = bench.step("true", json!({"check_command": check}));
    let planned = bench.plan(&step).await.unwrap();
    assert!(matches!(bench.check(&step, &planned).await, Happened::No { .. }));
    bench.write("version", "1.2.3");
    assert!(matches!(bench.check(&step, &planned).await, Happened::Yes { .. }));
    bench.write("broken", "");
    let why = "the checking program ended with 7".into();
    assert_eq!(bench.check(&step, &planned).await, Happened::CannotTell { why });
}

#[tokio::test]
async fn without_a_checking_program_the_planning_one_is_asked_and_else_nobody_can_tell() {
    let bench = Bench::new();
    let step = bench.step("true", json!({}));
    let planned = bench.plan(&step).await.unwrap();
    assert_eq!(bench.check(&step, &planned).await, Happened::No { note: "shop files still is at 1.3.0".into() });
    bench.write("version", "1.2.3");
    assert_eq!(bench.check(&step, &planned).await, Happened::Yes { note: "shop files is at 1.2.3".into(), live: None });
    bench.write("version", "9");
    assert!(matches!(bench.check(&step, &planned).await, Happened::CannotTell { .. }));

    let blind = bench.step("true", json!({"plan_command": null, "to": "migrated back"}));
    let planned = bench.plan(&blind).await.unwrap();
    assert!(matches!(bench.check(&blind, &planned).await, Happened::CannotTell { .. }));
}

#[test]
fn a_placeholder_within_an_argument_is_refused_because_it_could_become_an_option() {
    let mut faults = Vec::new();
    let argv = ["deploy", "--to={{to}}", "{{to}}", "{{tag}}"].map(str::to_owned);
    validate_argv(&argv, &["to"], "argv", &mut faults);
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["argv[1]", "argv[3]"]);
}
