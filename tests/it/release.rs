//! An upgrade beside the running bot: the newer release has the work, and nothing of it is done by one that does not
//! understand it.

use std::sync::Mutex;
use std::time::Duration;

use sqlx::{Connection as _, SqliteConnection};
use vigie::incident::decision::Lane;
use vigie::incident::id::IncidentId;
use vigie::incident::time::Millis;
use vigie::store::{Store, StoreFault, Target};

use crate::database::{Database, Kind};
use crate::faults::until;
use crate::nowhere::logged;
use crate::script::START;
use crate::store::{answer, take_all, take_next, typed};
use crate::watch::{Alive, watched};

const NEWER: i64 = 1_000;
const LEASE: Millis = Millis::seconds(60);

#[tokio::test]
async fn an_older_release_keeps_what_comes_in_and_takes_no_more_work_once_a_newer_one_has_the_database() {
    let database = Database::fresh().await;
    let store = Store::open(&database.url).await.unwrap();
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let begun = store.claim(Lane::Chat, START, LEASE, 1).await.unwrap().pop().expect("something is to be said");
    store.set_number("release", NEWER).await.unwrap();

    let received = store.receive("note", Target::incident(IncidentId(1)), &typed("note seen"), START).await.unwrap();
    assert!(received, "it is acknowledged, and the newer one decides upon it");
    let due = store.next_wake().await.unwrap().expect("the next level is due some time");
    assert!(!store.undecided().await.unwrap().has_input);
    assert!(take_next(&store, due).await.is_empty());
    store.set_number("release", 0).await.unwrap();
    take_all(&store, START).await;
    store.set_number("release", NEWER).await.unwrap();
    assert_eq!(store.wake_next(move || due, answer(due)).await.unwrap(), None);
    for lane in Lane::ALL {
        assert_eq!(store.next_due(lane).await.unwrap(), None);
        assert!(store.claim(lane, due, LEASE, 10).await.unwrap().is_empty(), "{lane:?}");
    }
    assert!(store.extend(&begun, START + LEASE).await.unwrap(), "what it has begun it goes on with");
    let next = store.done_and_next(&begun, Vec::new(), START, LEASE).await.unwrap();
    assert!(next.is_none(), "and takes nothing after it");

    store.close().await;
    let refused = Store::open(&database.url).await.expect_err("it is a newer one's");
    assert!(matches!(refused, StoreFault::Newer { found: NEWER, .. }), "{refused}");
    assert!(refused.to_string().contains("restore the backup"), "{refused}");
}

/// A newer release that keeps nothing which an older does not understand, and has added to the schema: the two share the work.
#[tokio::test]
async fn an_older_program_starts_and_works_on_the_schema_of_a_newer_one() {
    let database = Database::fresh().await;
    Store::open(&database.url).await.unwrap().close().await;
    for addition in [
        "ALTER TABLE incident ADD COLUMN newer TEXT",
        "ALTER TABLE inbox ADD COLUMN newer BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE outbox ADD COLUMN newer TEXT",
        "ALTER TABLE timeline ADD COLUMN newer TEXT",
        "CREATE TABLE newer (id BIGINT PRIMARY KEY)",
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 1000, 'newer', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
    ] {
        // SQLite's strict tables have another word for it.
        let addition =
            if database.url.starts_with("sqlite") { addition.replace("BIGINT", "INTEGER") } else { addition.into() };
        database.does(addition.leak()).await;
    }
    let store = Store::open(&database.url).await.expect("it opens what a newer one has added to");
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    store.receive("ack", Target::default(), &typed("ack"), START).await.unwrap();
    take_all(&store, START).await;
    assert!(store.incident(IncidentId(1)).await.unwrap().expect("it is declared").acknowledged.is_some());
    for lane in [Lane::Page, Lane::Chat] {
        for one in store.claim(lane, START, LEASE, 50).await.unwrap() {
            assert!(store.done(&one, Vec::new(), START).await.unwrap(), "{lane:?}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    store.backup(&folder.path().join("copy")).await.expect("and a backup is made of what it knows");
    store.prepare_all().await.expect("it understands whatever else it uses");
}

#[tokio::test]
async fn a_newer_release_begins_once_what_the_older_one_has_in_hand_is_committed() {
    let database = Database::of(Kind::Postgres).await;
    let older = Store::open(&database.url).await.unwrap();
    older.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&older, START).await;
    older.set_number("release", 0).await.unwrap();
    let mut in_hand = database.holds_an_incident(1).await;
    let order = Mutex::new(Vec::new());
    let opens = async {
        let opened = Store::open(&database.url).await.expect("it has the database");
        order.lock().unwrap().push("opened");
        opened
    };
    let commits = async {
        in_hand.when_somebody_waits_for_it().await;
        order.lock().unwrap().push("committed");
        in_hand.commits().await;
    };
    let (newer, ()) = tokio::join!(opens, commits);
    assert_eq!(*order.lock().unwrap(), ["committed", "opened"]);
    assert!(!newer.has_a_newer().await.unwrap());
}

#[tokio::test]
async fn a_backup_of_a_newer_release_is_refused_and_one_of_an_older_is_this_ones_from_then_on() {
    let folder = tempfile::tempdir().unwrap();
    for (release, fits) in [(NEWER, false), (0, true)] {
        let file = folder.path().join(release.to_string());
        let database = Database::fresh().await;
        let store = Store::open(&database.url).await.unwrap();
        store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
        store.backup(&file).await.unwrap();
        set_in_copy(&file, release).await;
        let fresh = Database::fresh().await;
        let target = Store::open(&fresh.url).await.unwrap();
        let restored = target.restore(&file, START).await;
        assert_eq!(restored.is_ok(), fits, "{restored:?}");
        assert_eq!(target.backlog().await.unwrap().0, i64::from(fits), "all of it, or nothing");
        target.close().await;
        Store::open(&fresh.url).await.expect("it is this release's");
    }
}

#[tokio::test]
async fn an_older_release_makes_no_backup_of_what_it_may_not_know_whole() {
    let (folder, database) = (tempfile::tempdir().unwrap(), Database::fresh().await);
    let store = Store::open(&database.url).await.unwrap();
    store.set_number("release", NEWER).await.unwrap();
    let refused = store.backup(&folder.path().join("copy")).await.expect_err("it would have holes");
    assert!(matches!(refused, StoreFault::Newer { .. }), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left of it");
}

/// As if another release had made it.
async fn set_in_copy(file: &std::path::Path, release: i64) {
    let mut conn = SqliteConnection::connect(&file.display().to_string()).await.unwrap();
    let set = sqlx::query("UPDATE counter SET value = $1 WHERE name = 'release'").bind(release);
    assert_eq!(set.execute(&mut conn).await.unwrap().rows_affected(), 1);
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_that_was_cut_off_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    let database = Database::fresh().await;
    Store::open(&database.url).await.unwrap().backup(&file).await.unwrap();
    let mut conn = SqliteConnection::connect(&file.display().to_string()).await.unwrap();
    sqlx::query("DELETE FROM counter").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let fresh = Database::fresh().await;
    let refused = Store::open(&fresh.url).await.unwrap().restore(&file, START).await.expect_err("it is not whole");
    assert!(refused.to_string().contains("cut off"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of the try");
}

/// What the newer one keeps may be of a kind that the older does not know: it judges nothing of it.
#[tokio::test]
async fn an_older_release_does_not_look_after_what_a_newer_one_keeps() {
    let alive = Alive::open().await;
    let world = watched(&alive, "").await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 checkout returns 500").await;
    world.settle().await;
    let store = &world.setup.vigie.store;
    store.set_number("release", NEWER).await.unwrap();
    world.database.does("UPDATE incident SET wake_at = NULL, state = '{\"newer\": 1}'").await;
    let (before, beats) = (logged("a newer vigie has this database"), alive.beats());
    let looked = async || {
        world.clock.passes(Millis::minutes(1));
        (logged("a newer vigie has this database") >= before + 2).then_some(())
    };
    until("it looks", Duration::from_secs(60), looked).await;
    assert_eq!(store.put_aside().await.unwrap(), 0);
    assert!(alive.beats() <= beats + 1, "whoever listens hears the newer one's heart");
    let told = world.setup.phones.deliveries();
    assert!(!told.iter().any(|one| one.body.contains("put aside") || one.subject.contains("itself")), "{told:?}");
}
