//! A backup is a whole copy or none, and a restored database does nothing by itself.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use vigie::incident::approval::Outcome;
use vigie::incident::id::IncidentId;
use vigie::incident::state::{Phase, replay};
use vigie::practice::shop::Silence;
use vigie::practice::{Trouble, Workspace};
use vigie::store::{Store, Target};

use crate::clicks::planned;
use crate::database::{Database, Kind};
use crate::faults::until;
use crate::script::START;
use crate::store::{take_all, typed};
use crate::world::World;

fn vigie(url: &str, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    command.args(words).env_clear().env("DATABASE_URL", url).output().expect("the program runs")
}

fn says(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A file's name in a folder that goes away.
fn place(folder: &tempfile::TempDir) -> String {
    folder.path().join("vigie.backup").display().to_string()
}

#[tokio::test]
async fn a_backup_is_made_while_the_bot_runs_and_restored_into_either_database() {
    let world = World::open().await;
    for title in ["checkout returns 500", "the search is slow"] {
        world.types("U0ONCALL", "C0GENERAL", &format!("start sev2 {title}")).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = place(&folder);
    let made = vigie(&world.database.url, &["backup", &file]);
    assert!(made.status.success() && says(&made).contains("2 incident(s)"), "{}", says(&made));
    let again = vigie(&world.database.url, &["backup", &file]);
    assert_eq!(again.status.code(), Some(1), "an older backup is never overwritten");
    assert!(says(&again).contains("is there already"), "{}", says(&again));

    for kind in [Kind::Sqlite, Kind::Postgres] {
        let fresh = Database::of(kind).await;
        let restored = vigie(&fresh.url, &["restore", &file]);
        assert!(restored.status.success() && says(&restored).contains("vigie resume"), "{}", says(&restored));
        let twice = vigie(&fresh.url, &["restore", &file]);
        assert!(says(&twice).contains("not empty"), "{}", says(&twice));

        let store = Store::open(&fresh.url).await.expect("it opens");
        for number in 1..=2 {
            let incident = store.incident(IncidentId(number)).await.expect("it reads").expect("it is there");
            assert_eq!(incident, world.incident(number).await, "{kind:?}");
            let timeline = store.timeline(incident.id).await.expect("it reads");
            assert_eq!(replay(&timeline).expect("it is whole"), incident);
        }
        assert!(store.is_paused().await.expect("it reads"));
        store.close().await;
        let resumed = vigie(&fresh.url, &["resume"]);
        assert!(says(&resumed).contains("goes on"), "{}", says(&resumed));
    }
    world.close().await;
}

#[tokio::test]
async fn what_was_under_way_is_unknown_after_a_restore_and_nothing_runs_before_resume() {
    let world = World::open().await;
    let (channel, plan) = planned(&world).await;
    world.setup.shop.silence_next_switch(Silence::BeforeMoving);
    world.ws().person("U0LEAD").click(&channel, &plan, "approve run_1_1").await.expect("a button");
    let under_way = world.ws().wait_for(|_| world.setup.shop.is_silence_met().then_some(())).await;
    under_way.expect("the run begins");
    let folder = tempfile::tempdir().expect("a folder");
    let file = place(&folder);
    let made = vigie(&world.database.url, &["backup", &file]);
    assert!(made.status.success(), "{}", says(&made));

    let fresh = Database::fresh().await;
    let restored = vigie(&fresh.url, &["restore", &file]);
    assert!(says(&restored).contains("1 execution(s) were under way"), "{}", says(&restored));
    let mut other = World::open_on(fresh).await;
    other.minutes(1).await;
    assert!(other.setup.vigie.store.backlog().await.expect("it reads").0 > 0, "nothing is decided yet");
    assert!(other.ws().calls_of("chat.postMessage").is_empty(), "and nobody is told anything");

    other.setup.vigie.store.resume().await.expect("it goes on");
    other.restart().await;
    other.settle().await;
    let incident = other.incident(1).await;
    let run = incident.runs.values().next().expect("there is a run");
    assert!(matches!(run.phase, Phase::Finished { outcome: Outcome::Unknown { .. } }), "{:?}", run.phase);
    assert_eq!(other.setup.shop.state().switch.active, "v2", "nothing was done a second time");
}

/// A card is being changed, and changes again: one copy is on its way and a newer one waits behind it.
#[tokio::test]
async fn a_backup_that_was_made_while_a_card_was_on_its_way_can_be_restored() {
    let world = World::open().await;
    world.types("U0ONCALL", "C0GENERAL", "start sev2 checkout returns 500").await;
    world.ws().faults().next("chat.update", 1, Trouble::Hang);
    let oncall = world.ws().person("U0ONCALL");
    let hangs = |ws: &Workspace| (ws.faults().left() == 0).then_some(());
    for (line, severity) in [("severity sev1", "SEV1"), ("severity sev3", "SEV3")] {
        assert_eq!(oncall.command("C0GENERAL", "/incident", line).await.failure, None);
        world.ws().wait_for(hangs).await.expect("the card is on its way");
        let decided = async || (world.incident(1).await.severity.label == severity).then_some(());
        until("it is decided", Duration::from_secs(60), decided).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = place(&folder);
    let made = vigie(&world.database.url, &["backup", &file]);
    assert!(made.status.success(), "{}", says(&made));
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let restored = vigie(&Database::of(kind).await.url, &["restore", &file]);
        assert!(restored.status.success(), "{}", says(&restored));
    }
    world.close().await;
}

#[tokio::test]
async fn a_damaged_file_is_no_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = place(&folder);
    std::fs::write(Path::new(&file), b"not a database at all, whatever its name says").expect("a file");
    let fresh = Database::fresh().await;
    let told = vigie(&fresh.url, &["restore", &file]);
    assert_eq!(told.status.code(), Some(1));
    assert!(says(&told).contains("nothing was restored"), "{}", says(&told));
    let told = vigie(&fresh.url, &["restore", "/nowhere/vigie.backup"]);
    assert!(says(&told).contains("there is no file"), "{}", says(&told));
}

#[tokio::test]
async fn a_backup_before_an_upgrade_is_made_of_tables_that_lack_what_the_new_release_brings() {
    let older = Database::fresh().await;
    let store = Store::open(&older.url).await.expect("the database is made");
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.expect("it is kept");
    take_all(&store, START).await;
    store.close().await;
    older.does("ALTER TABLE outbox DROP COLUMN lets_pass").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = place(&folder);
    let told = vigie(&older.url, &["backup", &file]);
    assert_eq!(told.status.code(), Some(0), "{}", says(&told));
    let told = vigie(&Database::fresh().await.url, &["restore", &file]);
    assert_eq!(told.status.code(), Some(0), "{}", says(&told));
    assert!(says(&told).contains("1 incident"), "{}", says(&told));
}
