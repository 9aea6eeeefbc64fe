//! Transactions that get in each other's way on PostgreSQL, and sessions that hold others up (durability rule 9).

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use tokio::task::{JoinHandle, block_in_place};
use vigie::incident::id::{ChannelId, IncidentId};
use vigie::incident::timeline::Fact;
use vigie::store::{Question, Store, StoreFault, Taken, Target};

use crate::database::{Database, Kind};
use crate::faults::until;
use crate::nowhere::logged;
use crate::script::START;
use crate::store::{answer, take_all, take_next, typed};
use crate::world::keep_a_log;

const PATIENCE: Duration = Duration::from_secs(60);

async fn with_an_incident(url: &str) -> Store {
    keep_a_log();
    let store = Store::open(url).await.unwrap();
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    store
}

async fn receives(store: &Store, line: &str) {
    store.receive(line, Target::incident(IncidentId(1)), &typed(line), START).await.unwrap();
}

async fn count(store: &Store, is_it: impl Fn(&Fact) -> bool) -> usize {
    store.timeline(IncidentId(1)).await.unwrap().iter().filter(|entry| is_it(&entry.fact)).count()
}

/// SQLSTATE 40P01.
#[tokio::test]
async fn a_decision_that_the_server_ends_because_of_a_deadlock_is_made_again_and_once() {
    let database = Database::of(Kind::Postgres).await;
    let store = with_an_incident(&database.url).await;
    // The server ends whoever it finds waiting in the circle first, which may be the other one.
    for number in 1..=20 {
        receives(&store, &format!("note {number}")).await;
        let mut other = database.holds_an_incident(1).await;
        let deciding = tokio::spawn({
            let store = store.clone();
            async move { take_next(&store, START).await }
        });
        other.when_somebody_waits_for_it().await;
        let asked = other.asks_for_what_came_in().await;
        other.gives_up().await;
        println!("the other one: {asked:?}");
        let decided = deciding.await.expect("it does not panic").len() + take_all(&store, START).await.len();
        assert_eq!(decided, 1);
        assert_eq!(count(&store, |fact| matches!(fact, Fact::NoteAdded { .. })).await, number);
        if logged("deadlock detected") > 0 {
            return;
        }
    }
    panic!("the server never ended the decision");
}

/// SQLSTATE 40001, as CockroachDB and YugabyteDB answer where PostgreSQL waits.
#[tokio::test]
async fn a_decision_that_cannot_be_put_in_an_order_with_another_is_made_again_and_once() {
    let database = Database::of(Kind::Postgres).await;
    let url = format!("{}&options[default_transaction_isolation]=serializable", database.url);
    let store = with_an_incident(&url).await;
    receives(&store, "ack").await;
    let mut other = database.changes_an_incident_and_does_not_commit_yet(1).await;
    let (decided, ()) = tokio::join!(take_next(&store, START), async {
        other.when_somebody_waits_for_it().await;
        other.commits().await;
    });
    assert_eq!(decided, [Taken::Done { incident: Some(IncidentId(1)) }]);
    assert!(logged("could not serialize access") > 0, "it was repeated");
    assert_eq!(count(&store, |fact| matches!(fact, Fact::Acknowledged)).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_process_that_freezes_within_a_transaction_loses_it_and_another_decides() {
    let database = Database::of(Kind::Postgres).await;
    let frozen = with_an_incident(&database.url).await;
    let other = Store::open(&database.url).await.unwrap();
    receives(&frozen, "ack").await;
    let frozen = Frozen::while_it_decides(frozen).await;
    assert!(take_next(&other, START).await.is_empty(), "somebody has it in hand");
    let decides = async || take_next(&other, START).await.pop();
    let taken = until("the other one has it", PATIENCE, decides).await;
    assert_eq!(taken, Taken::Done { incident: Some(IncidentId(1)) });
    assert_eq!(frozen.thaws().await, []);
    assert_eq!(count(&other, |fact| matches!(fact, Fact::Acknowledged)).await, 1);
}

/// SQLSTATE 25P03.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_process_that_froze_within_a_transaction_does_it_again_and_once() {
    let database = Database::of(Kind::Postgres).await;
    let store = with_an_incident(&database.url).await;
    receives(&store, "ack").await;
    let frozen = Frozen::while_it_decides(store.clone()).await;
    database.holds_an_incident(1).await.gives_up().await;
    assert_eq!(frozen.thaws().await, [Taken::Done { incident: Some(IncidentId(1)) }]);
    assert!(logged("idle-in-transaction timeout") > 0, "the server had ended it");
    assert_eq!(count(&store, |fact| matches!(fact, Fact::Acknowledged)).await, 1);
}

/// One that stands still while it decides.
struct Frozen {
    thaws: mpsc::Sender<()>,
    deciding: JoinHandle<Result<Vec<Taken>, StoreFault>>,
}

impl Frozen {
    async fn while_it_decides(store: Store) -> Self {
        let ((begins, begun), (thaws, thawed)) = (mpsc::channel(), mpsc::channel::<()>());
        let thawed = Mutex::new(thawed);
        let deciding = tokio::spawn(async move {
            let decide = move |question: Question<'_>| {
                // Both ends may be gone when the test has failed, and have nothing to say the second time.
                let _ = begins.send(());
                let _ = block_in_place(|| thawed.lock().map(|thawed| thawed.recv()));
                answer(START)(question)
            };
            store.take_next(|| START, decide).await
        });
        tokio::task::spawn_blocking(move || begun.recv()).await.expect("it does not panic").expect("it decides");
        Self { thaws, deciding }
    }

    async fn thaws(self) -> Vec<Taken> {
        drop(self.thaws);
        self.deciding.await.expect("it does not panic").expect("the server answers it")
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_broken_off_and_the_next_one_goes_on() {
    let database = Database::of(Kind::Postgres).await;
    let store = with_an_incident(&database.url).await;
    database
        .does(
            "CREATE FUNCTION sleeps() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$",
        )
        .await;
    database
        .does(
            "CREATE TRIGGER too_long BEFORE INSERT ON inbox FOR EACH ROW WHEN (NEW.source = 'slow') \
             EXECUTE FUNCTION sleeps()",
        )
        .await;
    let slow = store.receive("slow", Target::default(), &typed("list"), START).await;
    let refused = slow.expect_err("nobody waits for ten minutes").to_string();
    assert!(refused.contains("statement timeout"), "{refused}");
    assert!(store.receive("quick", Target::default(), &typed("list"), START).await.unwrap());
    assert_eq!(store.backlog().await.unwrap().0, 1);
}

#[tokio::test]
async fn a_server_that_gives_numbers_out_in_advance_is_refused_with_the_cure() {
    let database = Database::of(Kind::Postgres).await;
    Store::open(&database.url).await.unwrap().close().await;
    database.does("ALTER SEQUENCE outbox_id_seq CACHE 100").await;
    let refused = Store::open(&database.url).await.expect_err("what waits would lose its order");
    assert!(refused.to_string().contains("ALTER SEQUENCE outbox_id_seq CACHE 1"), "{refused}");
    database.does("ALTER SEQUENCE outbox_id_seq CACHE 1").await;
    Store::open(&database.url).await.expect("the cure helps");
}

/// A statement may wait for a row for three seconds.
const SOONER_THAN_A_ROW: Duration = Duration::from_secs(2);
/// As many as wait when every connection for changes has one in hand.
const AT_WORK: i64 = 6;

#[tokio::test]
async fn decisions_that_wait_for_a_row_hold_up_no_acknowledgement_however_many_there_are() {
    let database = Database::of(Kind::Postgres).await;
    let store = with_an_incident(&database.url).await;
    const MANY: usize = 32;
    let target = |number: usize| Target { incident: None, channel: Some(ChannelId(format!("C{number}"))) };
    for number in 0..MANY {
        store.receive(&format!("before {number}"), target(number), &typed("note before"), START).await.unwrap();
    }
    let mut held = database.holds_an_incident(1).await;
    let deciding = (0..MANY).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { take_next(&store, START).await })
    });
    let deciding: Vec<_> = deciding.collect();
    held.when_so_many_wait_for_it(AT_WORK).await;
    let note = typed("note meanwhile");
    // As a door does: it looks, and it keeps what came in.
    let taken = async {
        store.incident_in(&ChannelId("C0".to_owned())).await.unwrap();
        store.receive("meanwhile", target(MANY), &note, START).await.unwrap()
    };
    let taken = tokio::time::timeout(SOONER_THAN_A_ROW, taken).await;
    assert!(taken.expect("what Slack waits for does not wait for them"));
    held.commits().await;
    for decided in deciding {
        decided.await.expect("it does not panic");
    }
    take_all(&store, START).await;
    assert_eq!(count(&store, |fact| matches!(fact, Fact::NoteAdded { .. })).await, MANY + 1);
}
