//! Real files with modes, links and copies.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::*;
use crate::actions::toy::{plain, plainly, world};
use crate::incident::time::Instant;
use serde_json::json;

struct Bench {
    folder: tempfile::TempDir,
}

const NOW: &str = "API_KEY=new-key-value\nNEW_FLAG=on\nexport REGION=eu\n";
const BEFORE: &str = "# old\nAPI_KEY=old-key-value\nexport REGION=eu\nOLD_FLAG=off\n";

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        bench.write(".env", NOW, 10);
        bench.write(".env.20231101T000000Z", "API_KEY=ancient\n", 1);
        bench.write(".env.20231112T000000Z", BEFORE, 5);
        bench.write(".env.20231114T000000Z", NOW, 9);
        // Not a copy of Vigie's, and the newest of all: never taken unless somebody names it.
        bench.write(".env.local", "API_KEY=of-a-laptop\n", 30);
        bench.write("other.env", "API_KEY=other\n", 20);
        fs::set_permissions(bench.path(".env"), fs::Permissions::from_mode(0o640)).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.folder.path()).unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str, age_rank: u64) {
        fs::write(self.path(name), text).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + age_rank);
        fs::File::options().write(true).open(self.path(name)).unwrap().set_modified(at).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn provider(&self, operation: &str, copy: Option<&str>) -> EnvFile {
        let config = json!({"target": "shop .env", "path": self.path(".env"), "operation": operation, "copy": copy});
        serde_json::from_value(config).unwrap()
    }
}

async fn planned(file: &EnvFile) -> Result<PlannedStep, PlanFault> {
    file.plan(&PlanContext {
        world: &world(),
        within: Duration::from_secs(5),
        wanted: None,
        earlier: &[],
        done_by: None,
    })
    .await
}

async fn with_run<T>(work: impl AsyncFnOnce(&StepContext<'_>) -> T) -> T {
    let world = world();
    let run = "run_7_1".parse().unwrap();
    let within = Duration::from_secs(5);
    work(&StepContext {
        world: &world,
        run,
        asked_at: Instant(0),
        step: 0,
        fence: 1,
        attempt: 1,
        begun: false,
        within,
        progress: &|_| {},
        in_use: &crate::actions::toy::NothingElse,
    })
    .await
}

async fn executed(file: &EnvFile, step: &PlannedStep) -> StepResult {
    plain(with_run(async |cx| file.execute(step, cx).await).await)
}

async fn looked(file: &EnvFile, step: &PlannedStep) -> Happened {
    plainly(with_run(async |cx| file.check(step, cx).await).await)
}

#[tokio::test]
async fn the_plan_names_the_newest_copy_that_differs_and_the_variables_but_no_value() {
    let bench = Bench::new();
    let step = planned(&bench.provider("restore", None)).await.unwrap();
    assert_eq!(step.title, "Restore shop .env from .env.20231112T000000Z");
    assert_eq!(step.diff[..3], ["API_KEY: changes", "OLD_FLAG: comes back", "NEW_FLAG: goes away"]);
    let all = serde_json::to_string(&step).unwrap();
    assert!(!all.contains("key-value") && !all.contains("=o"), "{all}");
}

#[tokio::test]
async fn a_restore_keeps_the_mode_and_can_be_taken_back() {
    let bench = Bench::new();
    let file = bench.provider("restore", None);
    let step = planned(&file).await.unwrap();
    let StepResult::Done { note, .. } = executed(&file, &step).await else { panic!() };
    assert!(note.starts_with("shop .env is restored from") && note.contains("what was there is saved as"), "{note}");
    assert_eq!(bench.read(".env"), BEFORE);
    assert_eq!(fs::metadata(bench.path(".env")).unwrap().permissions().mode() & 0o777, 0o640);
    let saved = bench.names().into_iter().find(|name| name.ends_with(".run_7_1-step-1-0")).unwrap();
    assert_eq!(bench.read(&saved), NOW);
    assert_eq!(bench.names().len(), 7, "nothing half-written is left: {:?}", bench.names());
    assert_eq!(
        looked(&file, &step).await,
        Happened::Yes {
            note: format!("shop .env is as in {}", bench.path(".env.20231112T000000Z").display()).into(),
            live: None
        }
    );
    let back = planned(&file).await.unwrap();
    assert_eq!(back.title, format!("Restore shop .env from {saved}"));
}

#[tokio::test]
async fn a_file_or_copy_that_changed_since_the_plan_is_left_alone() {
    let bench = Bench::new();
    let file = bench.provider("restore", None);
    let step = planned(&file).await.unwrap();
    bench.write(".env.20231112T000000Z", "API_KEY=forged\n", 5);
    let copy = bench.path(".env.20231112T000000Z");
    let stale = StepResult::stale(format!("{} was changed since the plan was made", copy.display()).into());
    assert_eq!(executed(&file, &step).await, stale);
    bench.write(".env", "API_KEY=hotfix\n", 11);
    assert!(matches!(executed(&file, &step).await, StepResult::Stale { found } if found.contains(".env was changed")));
    assert_eq!((bench.read(".env").as_str(), bench.names().len()), ("API_KEY=hotfix\n", 6));
    assert!(matches!(looked(&file, &step).await, Happened::CannotTell { .. }));
}

#[tokio::test]
async fn a_link_stays_a_link() {
    let bench = Bench::new();
    fs::create_dir(bench.path("live")).unwrap();
    std::os::unix::fs::symlink(bench.path(".env"), bench.path("live/.env")).unwrap();
    let mut file = bench.provider("restore", None);
    file.path = bench.path("live/.env");
    let step = planned(&file).await.unwrap();
    assert!(matches!(executed(&file, &step).await, StepResult::Done { .. }));
    assert!(fs::symlink_metadata(bench.path("live/.env")).unwrap().is_symlink());
    assert_eq!(bench.read(".env"), BEFORE);
}

#[tokio::test]
async fn saving_makes_one_copy_that_a_look_finds_again() {
    let bench = Bench::new();
    let file = bench.provider("save", None);
    let step = planned(&file).await.unwrap();
    assert_eq!(looked(&file, &step).await, Happened::No { note: "there is no copy of this run".into() });
    assert!(matches!(executed(&file, &step).await, StepResult::Done { .. }));
    let saved = bench.names().into_iter().find(|name| name.ends_with(".run_7_1-step-1-0")).unwrap();
    assert_eq!(bench.read(&saved), NOW);
    assert_eq!(fs::metadata(bench.path(&saved)).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(looked(&file, &step).await, Happened::Yes { note: format!("saved as {saved}").into(), live: None });
}

#[tokio::test]
async fn what_cannot_work_is_refused() {
    let bench = Bench::new();
    let fault = planned(&bench.provider("restore", Some(".env.gone"))).await.unwrap_err();
    assert!(fault.words().ends_with("has no copy named .env.gone."), "{fault}");
    let fault = planned(&bench.provider("restore", Some(".env.20231114T000000Z"))).await.unwrap_err();
    assert_eq!(fault.words(), "shop .env is already at .env.20231114T000000Z.");
    for name in [".env.20231101T000000Z", ".env.20231112T000000Z"] {
        fs::remove_file(bench.path(name)).unwrap();
    }
    let fault = planned(&bench.provider("restore", None)).await.unwrap_err();
    assert!(matches!(fault, PlanFault::NothingToGoBackTo(_)), "{fault}");
    fs::remove_file(bench.path(".env")).unwrap();
    assert!(matches!(planned(&bench.provider("save", None)).await, Err(PlanFault::NothingToGoBackTo(_))));
}

#[test]
fn the_rest_of_a_value_of_several_lines_is_neither_a_name_nor_overlooked() {
    let old = "KEY=\"-----BEGIN\nMIIEvQIBADANBgkqh=\n\"\nLAST=1\n";
    assert_eq!(files::changed_names(old, "KEY=x\nLAST=1\n"), ["KEY: changes"]);
    assert_eq!(files::changed_names(old, &old.replace("MIIE", "MIIF")), ["KEY: changes"]);
}

#[tokio::test]
async fn a_neighbour_that_cannot_be_read_holds_nobody_up_and_is_named_when_it_is_meant() {
    let bench = Bench::new();
    // Too large for an environment file, and the newest of all by its name.
    let large = ".env.20231120T000000Z";
    bench.write(large, &"A=1\n".repeat(300_000), 20);
    let step = planned(&bench.provider("restore", None)).await.unwrap();
    assert!(step.to.starts_with(".env.20231112T000000Z "), "{}", step.to);
    let fault = planned(&bench.provider("restore", Some(large))).await.unwrap_err();
    let PlanFault::Unreadable { why, .. } = &fault else { panic!("{fault}") };
    assert!(why.to_string().contains(large), "{why}");
}

#[tokio::test]
async fn the_newest_is_the_one_whose_name_says_so() {
    let bench = Bench::new();
    // Somebody copied the folder: the oldest copy became the file that was written last.
    bench.write(".env.20231101T000000Z", "API_KEY=ancient\n", 40);
    let step = planned(&bench.provider("restore", None)).await.unwrap();
    assert!(step.to.starts_with(".env.20231112T000000Z "), "{}", step.to);
}

#[tokio::test]
async fn a_pipe_is_no_environment_file_and_is_not_opened() {
    let bench = Bench::new();
    fs::remove_file(bench.path(".env")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(bench.path(".env")).status().unwrap().success());
    let fault = planned(&bench.provider("save", None)).await.unwrap_err();
    assert!(matches!(fault, PlanFault::Unreadable { .. }), "{fault}");
}

/// Vigie may write into the folder and not list it, or the file system flushes no folders.
#[tokio::test]
async fn a_file_that_was_replaced_is_not_told_as_unchanged_because_its_folder_cannot_be_flushed() {
    let bench = Bench::new();
    let unflushed = |path: &Path| Err(Words::new("file.not_flushed").with("path", path.display().to_string()));
    assert_eq!(files::moved(&bench.path("other.env"), &bench.path(".env"), unflushed), Ok(()));
    assert_eq!(bench.read(".env"), "API_KEY=other\n");
    let fault = files::moved(&bench.path("gone.env"), &bench.path(".env"), unflushed).unwrap_err();
    assert_eq!(fault.key, "file.not_replaced", "what was not moved is told");

    // The same from end to end; for the superuser, every folder can be listed.
    let bench = Bench::new();
    fs::create_dir(bench.path("live")).unwrap();
    fs::write(bench.path("live/.env"), NOW).unwrap();
    let mut file = bench.provider("restore", None);
    (file.path, file.copies) = (bench.path("live/.env"), Some(bench.path("")));
    let step = planned(&file).await.unwrap();
    fs::set_permissions(bench.path("live"), fs::Permissions::from_mode(0o300)).unwrap();
    let result = executed(&file, &step).await;
    fs::set_permissions(bench.path("live"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(result, StepResult::Done { .. }), "{result:?}");
    assert_eq!(bench.read("live/.env"), BEFORE);
}

/// A file that is mounted into a container by itself cannot be replaced; a folder of that name cannot, either.
#[test]
fn a_file_that_cannot_be_replaced_leaves_no_second_file_of_secrets() {
    let bench = Bench::new();
    let held = bench.path("held.env");
    fs::create_dir(&held).unwrap();
    bench.write("held.env/lock", "", 0);
    let before = bench.names();
    bench.write(".vigie-run_7_1-step-1-0-held.env", NOW, 0);
    let why = files::moved(&bench.path(".vigie-run_7_1-step-1-0-held.env"), &held, |_| Ok(())).unwrap_err();
    assert_eq!(why.key, "file.not_replaced");
    assert_eq!(bench.names(), before);
}
