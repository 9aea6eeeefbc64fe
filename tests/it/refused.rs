//! What the database refuses for good is put aside and told, and stops nobody else (durability rules 2 and 10).

use std::time::Duration;

use vigie::incident::command::parse;
use vigie::incident::decision::{Effect, Input, ReplyTo, Report};
use vigie::incident::id::{ChannelId, IncidentId, UserId};
use vigie::incident::people::Actor;
use vigie::incident::time::Millis;
use vigie::store::{Store, Taken, Target};

use crate::database::{Database, Kind};
use crate::faults::until;
use crate::outbox::chat;
use crate::script::START;
use crate::store::{answer, notes, take_all, typed};
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);

async fn with_two_incidents(database: &Database) -> Store {
    let store = Store::open(&database.url).await.unwrap();
    for name in ["one", "two"] {
        store.receive(name, Target::default(), &typed(&format!("start sev2 {name}")), START).await.unwrap();
    }
    take_all(&store, START).await;
    store
}

async fn receives(store: &Store, source: &str, incident: i64, input: &Input) {
    store.receive(source, Target::incident(IncidentId(incident)), input, START).await.unwrap();
}

/// The keys of what people are answered.
async fn replies(store: &Store) -> Vec<String> {
    let keys = chat(store).await.into_iter().filter_map(|one| match one.effect {
        Effect::Reply { words, .. } => Some(words.key),
        _ => None,
    });
    keys.collect()
}

fn count_aside(taken: &[Taken]) -> usize {
    taken.iter().filter(|taken| **taken == Taken::PutAside).count()
}

#[tokio::test]
async fn an_input_that_breaks_a_rule_of_the_database_is_put_aside_alone_and_all_the_others_are_decided_upon() {
    let database = Database::fresh().await;
    let store = with_two_incidents(&database).await;
    // A Slack that answers with a channel that another incident has.
    let opened = Report::ChannelOpened { channel: ChannelId("C1".to_owned()), name: "inc-1-one".to_owned() };
    let opened = Input::Report(opened);
    receives(&store, "opened", 1, &opened).await;
    take_all(&store, START).await;
    receives(&store, "before", 2, &typed("note before")).await;
    receives(&store, "again", 2, &opened).await;
    receives(&store, "behind", 2, &typed("note behind")).await;
    receives(&store, "other", 1, &typed("note of another")).await;
    assert_eq!(count_aside(&take_all(&store, START).await), 1);
    assert_eq!(notes(&store, 2).await, ["before", "behind"]);
    assert_eq!(notes(&store, 1).await, ["of another"]);
    assert_eq!(store.put_aside().await.unwrap(), 1, "the watch tells of it");
    assert!(store.incident(IncidentId(2)).await.unwrap().unwrap().channel.is_none());
}

/// Letters that no compression makes few of.
fn many_letters(count: usize) -> String {
    let mut seed = 4_711_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'A' + u8::try_from((seed >> 33) % 26).expect("a letter"))
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test]
async fn a_name_that_is_too_long_for_an_index_is_put_aside_with_what_it_came_in_and_nothing_else() {
    let database = Database::of(Kind::Postgres).await;
    let store = with_two_incidents(&database).await;
    // Their Home is drawn last, after everything of those who share the commit.
    let by_nobody = Input::Command {
        by: Actor::Person(UserId(many_letters(3_000))),
        command: Box::new(parse("ack").unwrap().command),
        channel: None,
        reply: ReplyTo::Nobody,
    };
    receives(&store, "before", 1, &typed("note before")).await;
    receives(&store, "nobody", 1, &by_nobody).await;
    receives(&store, "behind", 1, &typed("note behind")).await;
    assert_eq!(count_aside(&take_all(&store, START).await), 1);
    assert_eq!(notes(&store, 1).await, ["before", "behind"]);
}

#[tokio::test]
async fn an_input_that_meets_a_defect_within_its_commit_is_put_aside_and_the_next_is_decided_upon() {
    let database = Database::fresh().await;
    let store = with_two_incidents(&database).await;
    receives(&store, "defect", 1, &typed("note a defect")).await;
    receives(&store, "other", 2, &typed("note another")).await;
    let taken = store.take_next(|| panic!("a defect"), answer(START)).await.unwrap();
    assert_eq!(taken, [Taken::PutAside]);
    take_all(&store, START).await;
    assert_eq!((notes(&store, 1).await.len(), notes(&store, 2).await), (0, vec!["another".to_owned()]));
    assert_eq!(replies(&store).await.iter().filter(|key| *key == "refusal.put_aside").count(), 1, "they are told");
    assert_eq!(store.put_aside().await.unwrap(), 1);
}

#[tokio::test]
async fn an_incident_that_cannot_be_woken_is_told_once_and_tried_each_minute_while_the_others_are_woken() {
    let database = Database::fresh().await;
    let store = with_two_incidents(&database).await;
    // The place in the timeline that its next fact is to have.
    let blocks = "INSERT INTO timeline (incident, seq, at, kind, entry) SELECT id, seq + 1, 0, 'x', '{}' FROM incident WHERE id = 1";
    database.does(blocks).await;
    let mut now = store.next_wake().await.unwrap().expect("the next level is due some time");
    let wake = async |now| store.wake_next(move || now, answer(now)).await.unwrap();
    let woken = |incident| Some(Taken::Done { incident: Some(IncidentId(incident)) });
    assert_eq!(wake(now).await, Some(Taken::PutAside));
    assert_eq!(wake(now).await, woken(2));
    assert_eq!(wake(now).await, None);
    for _ in 0..3 {
        now = now + Millis::minutes(1);
        assert_eq!(wake(now).await, Some(Taken::PutAside));
        assert_eq!(store.put_aside().await.unwrap(), 1);
    }
    database.does("DELETE FROM timeline WHERE kind = 'x'").await;
    now = now + Millis::minutes(1);
    assert_eq!(wake(now).await, woken(1));
    assert_eq!(store.incident(IncidentId(1)).await.unwrap().unwrap().ladder.level, 1);
}

#[tokio::test]
async fn what_comes_in_is_decided_upon_though_every_wake_fails() {
    let database = Database::of(Kind::Postgres).await;
    // As a statement that takes too long each time.
    database
        .does(
            "CREATE FUNCTION takes_too_long() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'it takes too long' USING ERRCODE = '57014'; END $$",
        )
        .await;
    let world = World::open_on(database).await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 one").await;
    world.types("U0SUPPORT", "C0GENERAL", "start sev2 two").await;
    world.types("U0ONCALL", "C0GENERAL", "ack --in inc_2").await;
    world
        .database
        .does(
            "CREATE TRIGGER no_page BEFORE INSERT ON outbox FOR EACH ROW WHEN (NEW.lane = 'page') \
             EXECUTE FUNCTION takes_too_long()",
        )
        .await;
    world.minutes(17).await;
    for number in 0..5 {
        let line = format!("note --in inc_2 number {number}");
        let ack = world.ws().person("U0ONCALL").command("C0GENERAL", "/incident", &line).await;
        assert_eq!(ack.failure, None);
    }
    let store = &world.setup.vigie.store;
    until("the notes are kept", PATIENCE, async || (notes(store, 2).await.len() == 5).then_some(())).await;
    assert_eq!(world.incident(1).await.ladder.level, 0, "nobody could be paged");
    world.database.does("DROP TRIGGER no_page ON outbox").await;
    until("the next level is paged", PATIENCE, async || (world.incident(1).await.ladder.level > 0).then_some(())).await;
    world.close().await;
}

#[tokio::test]
async fn an_open_incident_that_cannot_be_read_is_told_and_hides_no_other_from_the_watch() {
    let database = Database::fresh().await;
    let store = with_two_incidents(&database).await;
    let due = store.next_wake().await.unwrap();
    database.does("UPDATE incident SET wake_at = NULL").await;
    database.does("UPDATE incident SET state = '{}' WHERE id = 1").await;
    for _ in 0..2 {
        assert!(!store.wake_the_forgotten(START).await.unwrap().contains(&IncidentId(1)));
        assert_eq!(store.put_aside().await.unwrap(), 1, "told once");
    }
    assert!(due.is_some() && store.next_wake().await.unwrap() == due, "the other one is woken in its time");
    assert_eq!(store.open_incidents().await.unwrap().worst.len(), 1, "and shown");
}
