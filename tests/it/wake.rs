//! Time brings each incident its turn once, and nobody turns in a circle.

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use vigie::incident::id::IncidentId;
use vigie::incident::time::{Instant, Millis};
use vigie::store::{Store, Target};

use crate::database::{Database, Kind};
use crate::script::START;
use crate::store::{answer, take_all, typed};

async fn declared(database: &Database) -> Store {
    let store = Store::open(&database.url).await.unwrap();
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    store
}

async fn wakes(store: &Store, now: Instant) -> bool {
    store.wake_next(move || now, answer(now)).await.unwrap().is_some()
}

#[tokio::test]
async fn an_incident_whose_wake_was_lost_is_woken_in_its_time_and_not_at_once() {
    let database = Database::fresh().await;
    let store = declared(&database).await;
    let due = store.next_wake().await.unwrap().expect("the next level is due some time");
    database.does("UPDATE incident SET wake_at = NULL").await;
    assert_eq!(store.wake_the_forgotten(START).await.unwrap(), [IncidentId(1)]);
    assert!(!wakes(&store, START).await, "nothing is due yet");
    assert_eq!(store.next_wake().await.unwrap(), Some(due));
    assert!(wakes(&store, due).await);
    assert_eq!(store.incident(IncidentId(1)).await.unwrap().unwrap().ladder.level, 1);
}

#[tokio::test]
async fn a_wake_that_brings_nothing_comes_once_and_the_next_in_its_time() {
    let database = Database::fresh().await;
    let store = declared(&database).await;
    let due = store.next_wake().await.unwrap().expect("the next level is due some time");
    let soon = START + Millis::minutes(1);
    assert!(soon < due);
    database.does("UPDATE incident SET wake_at = 1").await;
    assert!(wakes(&store, soon).await, "its row says so");
    assert!(!wakes(&store, soon).await, "and then no more");
    assert_eq!(store.next_wake().await.unwrap(), Some(due));
}

/// The watch asks each minute, and a week of inputs is kept.
#[tokio::test]
async fn what_was_put_aside_is_counted_by_an_index_of_its_own() {
    let database = Database::of(Kind::Sqlite).await;
    Store::open(&database.url).await.unwrap();
    let path = database.url.strip_prefix("sqlite://").expect("a file");
    let mut conn = SqliteConnection::connect(path).await.unwrap();
    for table in ["inbox", "outbox"] {
        let question = format!("EXPLAIN QUERY PLAN SELECT COUNT(*) FROM {table} WHERE state = 'dead'");
        let plan = sqlx::query(AssertSqlSafe(question)).fetch_one(&mut conn).await.unwrap();
        let plan: String = plan.get("detail");
        assert!(plan.contains(&format!("INDEX {table}_dead")), "{plan}");
    }
}
