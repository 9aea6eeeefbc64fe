//! Environment files (X2) through the whole bot: saved, a chosen copy put back, taken back. Values are shown nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vigie::incident::approval::Outcome;
use vigie::incident::state::Phase;

use crate::french::is_french;
use crate::runbook::Runbook;
use crate::world::{shown, ts};

const OLD: &str = "PAYMENTS_KEY=0ld-value-of-tests\nMODE=live\n";
const NEW: &str = "PAYMENTS_KEY=n3w-value-of-tests\nMODE=live\nNEW_CHECKOUT=0n-value-of-tests\n";
const VALUES: [&str; 3] = ["0ld-value-of-tests", "n3w-value-of-tests", "0n-value-of-tests"];

/// A file with two copies, only one of which differs.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn open() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        bench.writes(".env", NEW);
        fs::set_permissions(bench.file(), fs::Permissions::from_mode(0o640)).expect("its mode can be set");
        bench.writes(".env.20261116T080000Z", OLD);
        bench.writes(".env.20261115T080000Z", "MODE=old\n");
        bench
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(".env")
    }

    fn writes(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("it can be written");
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("it can be read")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("it can be listed");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    fn step(&self, operation: &str) -> String {
        format!("- env_file: {{ target: \"shop .env\", path: \"{}\", operation: {operation} }}", self.file().display())
    }
}

async fn open(bench: &Bench, locale: &str, operation: &str) -> Runbook {
    let check = "command: { argv: [\"true\"] }";
    Runbook::open(locale, check, &bench.step(operation)).await
}

/// X2, P7 · a copy that a person chose, in both languages, with mode and owner kept, and back again.
#[tokio::test]
async fn a_chosen_copy_comes_back_and_goes_again() {
    for locale in ["en", "fr"] {
        let bench = Bench::open();
        let runbook = open(&bench, locale, "restore").await;
        let world = &runbook.world;
        world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout 500").await;
        let channel = world.channel(1).await;
        world.types("U0ONCALL", &channel, "run go --to .env.20261116T080000Z").await;
        let card = world.message(&channel, "approve run_1_1");
        let text = shown(&card);
        for name in [".env.20261116T080000Z", "PAYMENTS_KEY", "NEW_CHECKOUT"] {
            assert!(text.contains(name), "{name} is not in {text}");
        }
        assert!(!text.contains("MODE"), "what stays is not listed: {text}");
        let done = runbook.approved(&channel, &card).await;
        assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
        assert_eq!(bench.text(), OLD);
        assert_eq!(fs::metadata(bench.file()).expect("it is there").permissions().mode() & 0o7777, 0o640);
        let saved = bench.names().into_iter().find(|name| name.contains(".run_1_1-step-1-"));
        assert_eq!(read(&bench.folder.path().join(saved.expect("what was there is saved"))), NEW);

        world.types("U0ONCALL", &channel, "undo run_1_1").await;
        let back = world.message(&channel, "approve run_1_2");
        world.clicks("U0LEAD", &channel, &ts(&back), "approve").await;
        assert_eq!(bench.text(), NEW);
        let last = world.incident(1).await.runs.into_values().next_back().expect("a run");
        assert_eq!(last.phase, Phase::Finished { outcome: Outcome::Done });
        if locale == "fr" {
            is_french(world);
        }
        runbook.close_without(&VALUES).await;
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it can be read")
}

/// X2 · somebody who does not say which gets the newest that differs; what cannot be chosen is said.
#[tokio::test]
async fn a_copy_that_is_not_there_is_refused_and_what_changed_since_the_plan_is_left_alone() {
    let bench = Bench::open();
    let runbook = open(&bench, "en", "restore").await;
    let world = &runbook.world;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout 500").await;
    let channel = world.channel(1).await;
    world.types("U0ONCALL", &channel, "run go --to .env.20261113T080000Z").await;
    world.message(&channel, "has no copy named .env.20261113T080000Z");
    world.types("U0ONCALL", &channel, "run go").await;
    let card = world.message(&channel, "approve run_1_2");
    bench.writes(".env", "MODE=repaired by hand\n");
    let told = runbook.approved(&channel, &card).await;
    assert!(told.contains("was changed since the plan was made"), "{told}");
    assert_eq!(bench.text(), "MODE=repaired by hand\n");
    runbook.close_without(&VALUES).await;
}

/// X2 · one copy, found by the run's name.
#[tokio::test]
async fn a_file_is_saved_with_the_time_and_the_run_in_its_name() {
    let bench = Bench::open();
    let runbook = open(&bench, "fr", "save").await;
    let (channel, card) = runbook.planned().await;
    let done = runbook.approved(&channel, &card).await;
    assert_eq!(runbook.outcome().await, Outcome::Done, "{done}");
    let saved: Vec<String> = bench.names().into_iter().filter(|name| name.contains(".run_1_1-step-1-")).collect();
    assert_eq!(saved.len(), 1, "{saved:?}");
    assert_eq!((read(&bench.folder.path().join(&saved[0])).as_str(), bench.text().as_str()), (NEW, NEW));
    is_french(&runbook.world);
    runbook.close_without(&VALUES).await;
}
