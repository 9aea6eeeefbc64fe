//! What was acknowledged is kept; what was decided is kept whole or not at all.

use vigie::incident::command::parse;
use vigie::incident::decision::{Context, Effect, Input, Lane, ReplyTo, decide};
use vigie::incident::id::{IncidentId, UserId};
use vigie::incident::people::Actor;
use vigie::incident::state::replay;
use vigie::incident::time::{Instant, Millis};
use vigie::incident::timeline::Card;
use vigie::store::{Question, Store, StoreFault, Taken, Target};

use crate::script::{START, rules};

fn typed(line: &str) -> Input {
    let by = UserId("U0ONCALL".into());
    Input::Command {
        by: Actor::Person(by.clone()),
        command: Box::new(parse(line).unwrap().command),
        channel: None,
        reply: ReplyTo::Person { user: by, channel: None, response_url: None },
    }
}

async fn take_all(store: &Store, now: Instant) -> Vec<Taken> {
    let rules = rules();
    let mut taken = Vec::new();
    loop {
        let answer = |question: Question<'_>| {
            let by = question.input.by();
            let reply = match question.input {
                Input::Command { reply, .. } => reply.clone(),
                _ => ReplyTo::Nobody,
            };
            let context = Context { rules: &rules, now, by: &by, channel: None, reply: &reply, fresh: question.fresh };
            decide(context, question.incident, question.input)
        };
        match store.take_next(now, answer).await.unwrap() {
            Some(one) => taken.push(one),
            None => return taken,
        }
    }
}

async fn open() -> (Store, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite://{}/vigie.db", dir.path().display())).await.unwrap();
    (store, dir)
}

#[tokio::test]
async fn an_envelope_delivered_twice_declares_one_incident() {
    let (store, _dir) = open().await;
    let start = typed("start sev2 checkout returns 500");
    assert!(store.receive("env-1", Target::default(), &start, START).await.unwrap());
    assert!(!store.receive("env-1", Target::default(), &start, START).await.unwrap());
    assert_eq!(take_all(&store, START).await, [Taken::Done { incident: Some(IncidentId(1)) }]);
    let incident = store.incident(IncidentId(1)).await.unwrap().unwrap();
    assert_eq!(replay(&store.timeline(incident.id).await.unwrap()).unwrap(), incident);
    assert_eq!(store.next_wake().await.unwrap(), incident.wake_at());
}

#[tokio::test]
async fn a_command_without_an_incident_goes_to_the_only_open_one_and_is_refused_when_there_are_two() {
    let (store, _dir) = open().await;
    for (n, line) in ["start sev2 one", "ack", "start sev2 two", "note which"].into_iter().enumerate() {
        store.receive(&format!("env-{n}"), Target::default(), &typed(line), START).await.unwrap();
    }
    let taken = take_all(&store, START).await;
    assert_eq!(taken[1], Taken::Done { incident: Some(IncidentId(1)) });
    assert_eq!(taken[3], Taken::Refused);
}

#[tokio::test]
async fn waiting_copies_of_a_card_are_one_and_a_queue_keeps_its_order() {
    let (store, _dir) = open().await;
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    store.receive("b", Target::default(), &typed("role commander"), START).await.unwrap();
    store.receive("c", Target::default(), &typed("ack"), START).await.unwrap();
    take_all(&store, START).await;
    let lease = Millis::seconds(60);
    let first = store.claim(Lane::Chat, START, lease, 50).await.unwrap();
    let of_channel: Vec<_> = first.iter().filter(|one| one.effect == Effect::OpenChannel).collect();
    assert_eq!(of_channel.len(), 1, "only the first of the channel's queue");
    assert!(store.claim(Lane::Chat, START, lease, 50).await.unwrap().is_empty(), "the rest waits for it");
    store.done(of_channel[0], vec![], START).await.unwrap();
    let mut cards = Vec::new();
    while let Some(next) = store.claim(Lane::Chat, START, lease, 1).await.unwrap().pop() {
        if let Effect::ShowCard { card } = &next.effect {
            cards.push(card.clone());
        }
        store.done(&next, vec![], START).await.unwrap();
    }
    assert_eq!(cards.iter().filter(|card| **card == Card::Incident).count(), 1, "{cards:?}");
}

#[tokio::test]
async fn a_lease_that_ended_is_taken_over_and_its_late_owner_changes_nothing() {
    let (store, _dir) = open().await;
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let late = store.claim(Lane::Page, START, Millis::seconds(60), 1).await.unwrap().pop().unwrap();
    let after = START + Millis::seconds(61);
    let again = store.claim(Lane::Page, after, Millis::seconds(60), 10).await.unwrap();
    let taken_over = again.iter().find(|one| one.id == late.id).unwrap();
    assert_eq!(taken_over.attempts, 2);
    assert!(!store.done(&late, vec![], after).await.unwrap());
    assert!(store.done(taken_over, vec![], after).await.unwrap());
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_told_so() {
    let (_store, dir) = open().await;
    let url = format!("sqlite://{}/vigie.db", dir.path().display());
    assert!(matches!(Store::open(&url).await, Err(StoreFault::InUse { .. })));
    assert!(Store::open_to_read(&url).await.is_ok());
    let other = Store::open("mysql://root:hunter2@db.example.com/x").await.unwrap_err().to_string();
    assert!(other.contains("mysql") && !other.contains("hunter2"), "{other}");
}
