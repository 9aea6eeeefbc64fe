//! What was acknowledged is kept; what was decided is kept whole or not at all.

use std::sync::Arc;

use vigie::clock::Clock;
use vigie::incident::approval::Outcome;
use vigie::incident::command::parse;
use vigie::incident::decision::{Context, Effect, Input, Lane, ReplyTo, Report, decide};
use vigie::incident::id::{ChannelId, IncidentId, UserId};
use vigie::incident::people::Actor;
use vigie::incident::state::{Progress, replay};
use vigie::incident::time::{Instant, Millis};
use vigie::incident::timeline::{Card, Fact};
use vigie::incident::words::Words;
use vigie::store::{Beginning, Claimed, Decide, Fenced, Place, Question, Store, StoreFault, Taken, Target};

use crate::database::{Database, Kind};
use crate::script::{START, rules};

pub fn typed(line: &str) -> Input {
    let by = UserId("U0ONCALL".into());
    Input::Command {
        by: Actor::Person(by.clone()),
        command: Box::new(parse(line).unwrap().command),
        channel: None,
        reply: ReplyTo::Person { user: by, channel: None, response_url: None },
    }
}

pub async fn take_all(store: &Store, now: Instant) -> Vec<Taken> {
    let mut taken = Vec::new();
    loop {
        let next = take_next(store, now).await;
        if next.is_empty() {
            return taken;
        }
        taken.extend(next);
    }
}

pub async fn take_next(store: &Store, now: Instant) -> Vec<Taken> {
    store.take_next(move || now, answer(now)).await.unwrap()
}

pub fn answer(now: Instant) -> impl Decide {
    let rules = Arc::new(rules());
    move |question: Question<'_>| {
        let by = question.input.by();
        let reply = match question.input {
            Input::Command { reply, .. } => reply.clone(),
            _ => ReplyTo::Nobody,
        };
        let context = Context {
            rules: &rules,
            now,
            by: &by,
            channel: None,
            reply: &reply,
            fresh: question.fresh,
            member_of: None,
        };
        decide(context, question.incident, question.input)
    }
}

async fn open() -> (Store, Database) {
    let database = Database::fresh().await;
    (Store::open(&database.url).await.unwrap(), database)
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
async fn what_is_next_in_a_queue_is_taken_at_once_when_it_is_due_and_what_came_in_is_decided() {
    let (store, _dir) = open().await;
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let lease = Millis::seconds(60);
    let all = store.claim(Lane::Chat, START, lease, 50).await.unwrap();
    let first = all.iter().find(|one| one.effect == Effect::OpenChannel).expect("the channel is due");
    store.receive("b", Target::incident(IncidentId(1)), &typed("note seen"), START).await.unwrap();
    let next = store.done_and_next(first, vec![], START, lease).await.unwrap();
    assert!(next.is_none(), "it would not show what came in");
    take_all(&store, START).await;
    let of_queue = |claimed: Vec<Claimed>| claimed.into_iter().find(|one| one.queue == first.queue);
    let second = of_queue(store.claim(Lane::Chat, START, lease, 50).await.unwrap()).expect("it is due");
    let third = store.done_and_next(&second, vec![], START, lease).await.unwrap().expect("it is due");
    assert_eq!((third.queue.as_str(), third.attempts), (first.queue.as_str(), 1));
    assert!(of_queue(store.claim(Lane::Chat, START, lease, 50).await.unwrap()).is_none(), "the first has an owner");
    let again = store.done_and_next(&second, vec![], START, lease).await.unwrap();
    assert!(again.is_none(), "the others wait behind the third");
    store.postpone(&third, START + Millis::seconds(5), Place::Kept, "later").await.unwrap();
    let next = store.done_and_next(&second, vec![], START, lease).await.unwrap();
    assert!(next.is_none(), "it waits, and the others behind it");
}

#[tokio::test]
async fn what_only_shows_the_newest_state_lets_others_pass_while_it_is_put_off_and_never_beside_its_own_copy() {
    let (store, _dir) = open().await;
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let (lease, later) = (Millis::minutes(5), START + Millis::minutes(1));
    let all = store.claim(Lane::Chat, START, lease, 50).await.unwrap();
    let first = all.into_iter().find(|one| one.effect == Effect::OpenChannel).expect("the channel is due");
    let card = store.done_and_next(&first, vec![], START, lease).await.unwrap().expect("the card is next");
    let is_card = |one: &Claimed| one.effect == Effect::ShowCard { card: Card::Incident };
    assert!(is_card(&card), "{card:?}");
    store.postpone(&card, later, Place::LetsPass, "Slack's limit").await.unwrap();
    let mut others = 0;
    let of_queue = |claimed: Vec<Claimed>| claimed.into_iter().find(|one| one.queue == first.queue);
    while let Some(next) = of_queue(store.claim(Lane::Chat, START, lease, 50).await.unwrap()) {
        assert!(!is_card(&next), "it is put off");
        others += 1;
        store.done(&next, vec![], START).await.unwrap();
    }
    assert!(others > 0);
    // While somebody shows it, a newer copy waits, and what is behind that.
    let card = of_queue(store.claim(Lane::Chat, later, lease, 50).await.unwrap()).expect("its time has come");
    assert!(is_card(&card) && card.attempts == 2, "{card:?}");
    store.receive("b", Target::incident(IncidentId(1)), &typed("ack"), later).await.unwrap();
    take_all(&store, later).await;
    assert!(of_queue(store.claim(Lane::Chat, later, lease, 50).await.unwrap()).is_none(), "two would race");
    store.done(&card, vec![], later).await.unwrap();
    let mut shown_anew = false;
    while let Some(next) = of_queue(store.claim(Lane::Chat, later, lease, 50).await.unwrap()) {
        shown_anew |= is_card(&next);
        store.done(&next, vec![], later).await.unwrap();
    }
    assert!(shown_anew);
}

#[tokio::test]
async fn a_change_that_nobody_waits_for_any_more_leaves_no_connection_in_a_transaction() {
    let database = Database::of(Kind::Postgres).await;
    let store = Store::open(&database.url).await.unwrap();
    for n in 0..30 {
        let mut changing = Box::pin(store.resume());
        assert!(futures_util::poll!(&mut changing).is_pending());
        drop(changing);
        store.receive(&format!("n{n}"), Target::default(), &typed("list"), START).await.unwrap();
        let other = Store::open_to_read(&database.url).await.unwrap();
        assert_eq!(other.backlog().await.unwrap().0, n + 1, "what is acknowledged is there for everybody");
        other.close().await;
    }
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
async fn who_stood_still_keeps_what_nobody_took_over_meanwhile() {
    let database = Database::of(Kind::Postgres).await;
    let (frozen, other) = (Store::open(&database.url).await.unwrap(), Store::open(&database.url).await.unwrap());
    frozen.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&frozen, START).await;
    let lease = Millis::seconds(60);
    let page = frozen.claim(Lane::Page, START, lease, 1).await.unwrap().pop().unwrap();
    let chat = frozen.claim(Lane::Chat, START, lease, 1).await.unwrap().pop().unwrap();
    let after = START + Millis::seconds(61);
    let taken_over = other.claim(Lane::Page, after, lease, 1).await.unwrap().pop().unwrap();
    frozen.extend_all(after + lease).await.unwrap();
    let claims_again = |lane| frozen.claim(lane, after, lease, 50);
    assert!(claims_again(Lane::Chat).await.unwrap().iter().all(|one| one.id != chat.id), "its own work goes on");
    assert!(claims_again(Lane::Page).await.unwrap().iter().all(|one| one.id != page.id), "the other one has it");
    assert!(frozen.done(&chat, vec![], after).await.unwrap());
    assert!(!frozen.done(&page, vec![], after).await.unwrap());
    assert!(other.done(&taken_over, vec![], after).await.unwrap());
}

#[tokio::test]
async fn a_flood_for_one_incident_is_decided_upon_whole_and_in_its_order() {
    let (store, _dir) = open().await;
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    let wanted: Vec<String> = (0..120).map(|number| format!("number {number}")).collect();
    for text in &wanted {
        let note = typed(&format!("note {text}"));
        store.receive(text, Target::incident(IncidentId(1)), &note, START).await.unwrap();
    }
    assert_eq!(take_all(&store, START).await.len(), 121);
    assert_eq!(notes(&store, 1).await, wanted);
    assert!(!store.undecided().await.unwrap().has_input);
}

pub async fn notes(store: &Store, incident: i64) -> Vec<String> {
    let timeline = store.timeline(IncidentId(incident)).await.unwrap();
    let noted = timeline.into_iter().filter_map(|entry| match entry.fact {
        Fact::NoteAdded { text, .. } => Some(text),
        _ => None,
    });
    noted.collect()
}

#[tokio::test]
async fn inputs_of_one_target_share_a_commit_and_none_overtakes_what_it_has_to_wait_for() {
    let (store, _dir) = open().await;
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let incident = Target::incident(IncidentId(1));
    let channel = Target { incident: None, channel: Some(ChannelId("C1".to_owned())) };
    let both = Target { channel: channel.channel.clone(), ..incident.clone() };
    let inputs = [("1", &incident), ("2", &channel), ("3", &incident), ("4", &both), ("5", &incident)];
    for (name, target) in inputs {
        store.receive(name, target.clone(), &typed(&format!("note {name}")), START).await.unwrap();
    }
    let mut shared = Vec::new();
    loop {
        match take_next(&store, START).await.len() {
            0 => break,
            count => shared.push(count),
        }
    }
    assert_eq!(shared, [2, 1, 1, 1], "1 and 3; 2; 4, which waits for 2 and 3; 5, which waits for 4");
    assert_eq!(notes(&store, 1).await, ["1", "3", "2", "4", "5"]);
}

#[tokio::test]
async fn what_somebody_else_is_deciding_upon_is_not_decided_twice_though_it_stands_behind_the_first() {
    let database = Database::of(Kind::Postgres).await;
    let stores = [Store::open(&database.url).await.unwrap(), Store::open(&database.url).await.unwrap()];
    stores[0].receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&stores[0], START).await;
    // Two inputs are received side by side, and the one with the later place is committed first.
    let mut earlier = database.receives_and_does_not_commit_yet(1, &typed("note earlier place")).await;
    for note in ["later place", "last"] {
        stores[0].receive(note, Target::incident(IncidentId(1)), &typed(&format!("note {note}")), START).await.unwrap();
    }
    let mut incident = database.holds_an_incident(1).await;
    let decides = |store: &Store| {
        let store = store.clone();
        tokio::spawn(async move { take_next(&store, START).await.len() })
    };
    let first = decides(&stores[0]);
    incident.when_so_many_wait_for_it(1).await;
    earlier.commits().await;
    let second = decides(&stores[1]);
    incident.when_so_many_wait_for_it(2).await;
    incident.commits().await;
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (2, 1));
    assert_eq!(notes(&stores[0], 1).await, ["later place", "last", "earlier place"]);
}

#[tokio::test]
async fn what_came_in_for_an_incident_goes_before_what_time_brings_it() {
    let (store, _dir) = open().await;
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let due = store.next_wake().await.unwrap().expect("the next level is due some time");
    store.receive("note", Target::incident(IncidentId(1)), &typed("note seen"), due).await.unwrap();
    assert_eq!(store.wake_next(move || due, answer(due)).await.unwrap(), None, "somebody may have it in hand");
    take_all(&store, due).await;
    let woken = Some(Taken::Done { incident: Some(IncidentId(1)) });
    assert_eq!(store.wake_next(move || due, answer(due)).await.unwrap(), woken);
}

#[tokio::test]
async fn what_came_by_the_channel_of_an_incident_goes_before_what_time_brings_it_too() {
    let (store, _dir) = open().await;
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let (incident, channel) = (IncidentId(1), ChannelId("C1".to_owned()));
    let opened = Report::ChannelOpened { channel: channel.clone(), name: "inc-1-one".to_owned() };
    store.receive("opened", Target::incident(incident), &Input::Report(opened), START).await.unwrap();
    take_all(&store, START).await;
    let due = store.next_wake().await.unwrap().expect("the next level is due some time");
    let in_channel = Target { incident: None, channel: Some(channel) };
    store.receive("ack", in_channel, &typed("ack"), due).await.unwrap();
    assert_eq!(store.wake_next(move || due, answer(due)).await.unwrap(), None, "somebody may have it in hand");
    take_all(&store, due).await;
    assert!(store.incident(incident).await.unwrap().unwrap().acknowledged.is_some());
}

/// A decision may wait for the database, and another one upon the same incident go first.
#[tokio::test]
async fn a_decision_has_the_moment_at_which_it_is_made_and_not_the_one_at_which_it_began_to_wait() {
    let database = Database::of(Kind::Postgres).await;
    let store = Store::open(&database.url).await.unwrap();
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    store.receive("ack", Target::incident(IncidentId(1)), &typed("ack"), START).await.unwrap();
    let mut incident = database.holds_an_incident(1).await;
    let clock = Clock::manual(START);
    let decides = {
        let (store, clock, other) = (store.clone(), clock.clone(), clock.clone());
        let answers = move |question: Question<'_>| answer(question.now)(question);
        tokio::spawn(async move { store.take_next(move || clock.now(), answers).await.map(|_| other.now()) })
    };
    incident.when_somebody_waits_for_it().await;
    clock.advance(Millis::seconds(3));
    incident.commits().await;
    decides.await.unwrap().unwrap();
    let answered = store.incident(IncidentId(1)).await.unwrap().unwrap().acknowledged.expect("it is answered");
    assert_eq!(answered.at, START + Millis::seconds(3));
}

#[tokio::test]
async fn a_database_that_is_paused_brings_nothing_to_whoever_works_on_it_already() {
    let (store, _dir) = open().await;
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    store.receive("note", Target::incident(IncidentId(1)), &typed("note seen"), START).await.unwrap();
    let works = async || {
        let waits = store.undecided().await.unwrap();
        (waits.has_input, waits.wake.is_some(), store.next_due(Lane::Page).await.unwrap().is_some())
    };
    assert_eq!(works().await, (true, true, true));
    store.set_number("paused", 1).await.unwrap();
    assert_eq!(works().await, (false, false, false));
    store.resume().await.unwrap();
    assert_eq!(works().await, (true, true, true));
}

#[tokio::test]
async fn whoever_declares_an_incident_has_a_commit_for_it_alone() {
    let (store, _dir) = open().await;
    let channel = Target { incident: None, channel: Some(ChannelId("C1".to_owned())) };
    for (n, line) in ["start sev2 one", "ack", "note seen", "start sev2 two"].into_iter().enumerate() {
        store.receive(&n.to_string(), channel.clone(), &typed(line), START).await.unwrap();
    }
    let declared = |number| Taken::Done { incident: Some(IncidentId(number)) };
    assert_eq!(take_next(&store, START).await, [declared(1)]);
    assert_eq!(take_next(&store, START).await, [declared(1), declared(1)]);
    assert_eq!(take_next(&store, START).await, [declared(2)]);
}

#[tokio::test]
async fn who_opens_the_file_next_takes_up_at_once_what_the_one_before_had_in_hand() {
    let database = Database::of(Kind::Sqlite).await;
    let before = Store::open(&database.url).await.unwrap();
    before.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&before, START).await;
    let held = before.claim(Lane::Page, START, Millis::seconds(60), 10).await.unwrap();
    assert!(!held.is_empty());
    before.close().await;
    let next = Store::open(&database.url).await.unwrap();
    let again = next.claim(Lane::Page, START, Millis::seconds(60), 10).await.unwrap();
    let ids = |claimed: &[Claimed]| claimed.iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&held));
    assert!(again.iter().all(|one| one.attempts == 2), "whoever takes it up knows that it was begun");
}

#[tokio::test]
async fn a_second_process_on_the_same_file_is_told_so() {
    let database = Database::of(Kind::Sqlite).await;
    let _store = Store::open(&database.url).await.unwrap();
    assert!(matches!(Store::open(&database.url).await, Err(StoreFault::InUse { .. })));
    assert!(Store::open_to_read(&database.url).await.is_ok());
}

#[tokio::test]
async fn an_address_that_names_no_database_is_said_without_its_password() {
    for url in ["mysql://root:hunter2@db.example.com/x", "postgres://root:hunter2@127.0.0.1:1/x", "sqlite::memory:"] {
        let told = Store::open(url).await.unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn changes_that_wait_together_share_a_commit_and_one_that_fails_fails_alone() {
    let (store, _database) = open().await;
    let start = typed("start sev2 one");
    let sources: Vec<String> = (0..200).map(|n| format!("env-{}", n % 150)).collect();
    let receive = |source: &String| {
        let (store, start, source) = (store.clone(), start.clone(), source.clone());
        tokio::spawn(async move { store.receive(&source, Target::default(), &start, START).await })
    };
    let received = futures_util::future::join_all(sources.iter().map(receive)).await;
    let kept = received.into_iter().filter(|kept| matches!(kept, Ok(Ok(true)))).count();
    assert_eq!(kept, 150, "each source is kept once");
    assert_eq!(store.backlog().await.unwrap(), (150, 0));
}

#[tokio::test]
async fn a_closed_store_says_so_and_takes_nothing() {
    let (store, database) = open().await;
    store.close().await;
    let late = store.receive("env", Target::default(), &typed("start sev2 late"), START).await;
    assert!(late.is_err(), "it is not acknowledged");
    let again = Store::open(&database.url).await.unwrap();
    assert_eq!(again.backlog().await.unwrap(), (0, 0));
}

#[tokio::test]
async fn two_processes_decide_upon_what_came_in_side_by_side_and_each_incident_keeps_its_order() {
    let database = Database::of(Kind::Postgres).await;
    let stores = [Store::open(&database.url).await.unwrap(), Store::open(&database.url).await.unwrap()];
    assert!(stores[0].is_shared());
    for n in 0..8 {
        stores[0].receive(&format!("s{n}"), Target::default(), &typed("start sev2 it"), START).await.unwrap();
    }
    take_all(&stores[0], START).await;
    for n in 0..40 {
        let target = Target::incident(IncidentId(n % 8 + 1));
        stores[0].receive(&format!("n{n}"), target, &typed(&format!("note {n}")), START).await.unwrap();
    }
    let (left, right) = tokio::join!(take_all(&stores[0], START), take_all(&stores[1], START));
    assert_eq!(left.len() + right.len(), 40, "each input is decided upon once");
    for id in 1..=8 {
        let timeline = stores[1].timeline(IncidentId(id)).await.unwrap();
        let incident = stores[1].incident(IncidentId(id)).await.unwrap().unwrap();
        assert_eq!(replay(&timeline).unwrap(), incident);
        let notes: Vec<i64> = timeline
            .iter()
            .filter_map(|entry| match &entry.fact {
                Fact::NoteAdded { text } => text.parse().ok(),
                _ => None,
            })
            .collect();
        assert_eq!(notes, (0..5).map(|n| n * 8 + id - 1).collect::<Vec<_>>(), "in the order in which they came");
    }
}

#[tokio::test]
async fn two_processes_never_carry_out_the_same_effect() {
    let database = Database::of(Kind::Postgres).await;
    let stores = [Store::open(&database.url).await.unwrap(), Store::open(&database.url).await.unwrap()];
    for n in 0..20 {
        stores[0].receive(&format!("s{n}"), Target::default(), &typed("start sev2 it"), START).await.unwrap();
    }
    take_all(&stores[0], START).await;
    let lease = Millis::seconds(60);
    let claims = (0..12).map(|n| stores[n % 2].claim(Lane::Page, START, lease, 5));
    let claimed = futures_util::future::join_all(claims).await;
    let mut ids: Vec<i64> = claimed.into_iter().flat_map(|one| one.unwrap()).map(|one| one.id).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "each effect has one owner");
    assert!(all >= 20, "{all}");
}

#[tokio::test]
async fn a_card_that_is_put_off_gives_way_to_a_newer_copy_that_is_written_at_the_same_moment() {
    let database = Database::of(Kind::Postgres).await;
    let store = Store::open(&database.url).await.unwrap();
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let claimed = store.claim(Lane::Chat, START, Millis::seconds(60), 50).await.unwrap();
    let is_card = |effect: &Effect| matches!(effect, Effect::ShowCard { card: Card::Announcement });
    let card = claimed.iter().find(|one| is_card(&one.effect)).expect("the announcement is due");

    let mut newer = database.copies_an_effect_and_does_not_commit_yet(card.id).await;
    let (putting_off, ()) =
        tokio::join!(store.postpone(card, START + Millis::seconds(1), Place::Kept, "later"), async {
            newer.when_somebody_waits_for_it().await;
            newer.commits().await;
        });
    putting_off.expect("it is repeated and sees the newer copy");
    let waiting = store.waiting().await.unwrap();
    let announcements = waiting.iter().filter(|(queue, ..)| queue.starts_with("chat:announce")).count();
    assert_eq!(announcements, 1, "{waiting:?}");
}

#[tokio::test]
async fn a_newer_copy_of_a_card_knows_of_every_attempt_of_the_one_that_gave_way_to_it() {
    let database = Database::of(Kind::Postgres).await;
    let store = Store::open(&database.url).await.unwrap();
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let is_card = |effect: &Effect| matches!(effect, Effect::ShowCard { card: Card::Announcement });
    for attempt in 1..=150 {
        let claimed = store.claim(Lane::Chat, START, Millis::seconds(60), 50).await.unwrap();
        let card = claimed.iter().find(|one| is_card(&one.effect)).expect("the announcement is due");
        assert_eq!(card.attempts, attempt, "it may have been posted each time before");
        let mut newer = database.copies_an_effect_and_does_not_commit_yet(card.id).await;
        let (putting_off, ()) = tokio::join!(store.postpone(card, START, Place::Kept, "later"), newer.commits());
        putting_off.expect("it is repeated and sees the newer copy");
    }
}

#[tokio::test]
async fn a_newer_copy_of_a_card_waits_as_long_as_slack_said_to_the_one_that_gave_way_to_it() {
    let (store, _database) = open().await;
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let (lease, later) = (Millis::minutes(5), START + Millis::seconds(50));
    let all = store.claim(Lane::Chat, START, lease, 50).await.unwrap();
    let first = all.into_iter().find(|one| one.effect == Effect::OpenChannel).expect("the channel is due");
    let card = store.done_and_next(&first, vec![], START, lease).await.unwrap().expect("the card is next");
    store.receive("b", Target::incident(IncidentId(1)), &typed("ack"), START).await.unwrap();
    take_all(&store, START).await;
    store.postpone(&card, later, Place::LetsPass, "Slack's limit").await.unwrap();
    let of_queue = |claimed: Vec<Claimed>| claimed.into_iter().find(|one| one.queue == first.queue);
    while let Some(next) = of_queue(store.claim(Lane::Chat, START, lease, 50).await.unwrap()) {
        assert_ne!(next.effect, card.effect, "Slack said not before fifty seconds from now");
        store.done(&next, vec![], START).await.unwrap();
    }
    let copy = of_queue(store.claim(Lane::Chat, later, lease, 50).await.unwrap()).expect("its time has come");
    assert_eq!((&copy.effect, copy.attempts), (&card.effect, 2));
}

fn begun(beginning: Beginning) -> Option<Fenced> {
    match beginning {
        Beginning::Begun(fenced, _) => Some(fenced),
        Beginning::Untold | Beginning::Lost => None,
    }
}

#[tokio::test]
async fn whoever_lost_an_execution_begins_nothing_more_and_may_still_say_what_it_did() {
    let (store, _database) = open().await;
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let (incident, run) = (IncidentId(1), "run_1_1".parse().unwrap());
    let lease = Millis::seconds(60);
    let first = store.claim(Lane::Page, START, lease, 1).await.unwrap().pop().unwrap();
    let old = begun(store.begin_execution(&first, incident, run, START).await.unwrap()).expect("the lease is ours");
    assert!(store.journal(&old, 1, Report::StepStarted { run, step: 0 }, START).await.unwrap());

    let later = START + Millis::seconds(61);
    let second = store.claim(Lane::Page, later, lease, 10).await.unwrap();
    let second = second.into_iter().find(|one| one.id == first.id).expect("the lease has ended");
    // What the former owner has told is decided first: who takes it over would else go by what it knew before.
    let beginning = store.begin_execution(&second, incident, run, later).await.unwrap();
    assert!(matches!(beginning, Beginning::Untold), "{beginning:?}");
    take_all(&store, later).await;
    let new = begun(store.begin_execution(&second, incident, run, later).await.unwrap()).expect("it is taken over");
    assert!(new.fence > old.fence);
    let late = store.begin_execution(&first, incident, run, later).await.unwrap();
    assert!(matches!(late, Beginning::Lost), "the old lease is worth nothing");
    assert!(!store.journal(&old, 2, Report::StepStarted { run, step: 1 }, later).await.unwrap());
    let took = Millis::seconds(5);
    let done = Report::StepFinished {
        run,
        fence: Some(old.fence),
        step: 0,
        note: Words::verbatim(""),
        took,
        output: None,
        live: None,
    };
    assert!(store.journal(&old, 3, done, later).await.unwrap());
    assert!(store.journal(&new, 1, Report::StepStarted { run, step: 1 }, later).await.unwrap());
}

#[tokio::test]
async fn only_the_newest_owner_of_a_run_tells_how_it_goes_and_it_is_no_fact() {
    let (store, _dir) = open().await;
    store.receive("a", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let (incident, run) = (IncidentId(1), "run_1_1".parse().unwrap());
    let claimed = store.claim(Lane::Page, START, Millis::seconds(60), 1).await.unwrap().pop().unwrap();
    let begin = async || begun(store.begin_execution(&claimed, incident, run, START).await.unwrap()).unwrap();
    let old = begin().await;
    take_all(&store, START).await;
    let new = begin().await;
    let before = store.timeline(incident).await.unwrap();
    let tell = async |fenced: &Fenced, text: &str| {
        store.tell_progress(fenced, Progress { step: 0, words: Words::verbatim(text), at: START }).await.unwrap()
    };
    assert!(tell(&new, "one").await && tell(&new, "two").await);
    assert!(!tell(&old, "late").await, "somebody else has the run");
    assert_eq!(store.progress(run).await.unwrap().unwrap().words, Words::verbatim("two"));
    assert_eq!(store.timeline(incident).await.unwrap(), before);

    take_all(&store, START).await;
    let mut cards = 0;
    loop {
        let claimed = store.claim(Lane::Chat, START, Millis::seconds(60), 50).await.unwrap();
        if claimed.is_empty() {
            break;
        }
        for one in claimed {
            cards += usize::from(one.effect == Effect::ShowCard { card: Card::Run(run) });
            store.done(&one, vec![], START).await.unwrap();
        }
    }
    assert_eq!(cards, 1, "what is told twice before it is shown is one edit");
    let ended = Report::RunFinished { run, outcome: Outcome::Done, output: None };
    assert!(store.journal(&new, 9, ended, START).await.unwrap());
    assert_eq!(store.progress(run).await.unwrap(), None);
}

#[tokio::test]
async fn every_statement_is_understood_by_both_databases() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::of(kind).await;
        let store = Store::open(&database.url).await.unwrap();
        store.prepare_all().await.unwrap_or_else(|fault| panic!("{kind:?}: {fault}"));
    }
}

#[tokio::test]
async fn whatever_waits_for_longer_than_it_should_is_late() {
    let (store, database) = open().await;
    let late = async || {
        let late = store.lateness(START + Millis::minutes(5)).await.unwrap();
        [late.wake, late.input, late.page, late.work, late.chat, late.lease].map(|late| late.0 / 60_000)
    };
    assert_eq!(late().await, [0; 6]);
    const ROW: &str =
        "INSERT INTO outbox (lane, queue, effect, state, created_at, due_at, lease_until, token, attempts) VALUES";
    let rows = [
        ("'comms', 'a', '{}', 'waiting', 0, 1795140000000, NULL, NULL, 0", [0, 0, 0, 5, 0, 0]),
        ("'page', 'b', '{}', 'waiting', 0, 1795140060000, NULL, NULL, 0", [0, 0, 4, 5, 0, 0]),
        ("'chat', 'c', '{}', 'waiting', 0, 1795140000000, NULL, NULL, 0", [0, 0, 4, 5, 5, 0]),
        ("'chat', 'd', '{}', 'leased', 0, 0, 1795140120000, 'x', 1", [0, 0, 4, 5, 5, 3]),
    ];
    assert_eq!(START.0, 1_795_140_000_000);
    for (row, now) in rows {
        database.does(String::leak(format!("{ROW} ({row})"))).await;
        assert_eq!(late().await, now, "{row}");
    }
}

#[tokio::test]
async fn a_page_is_not_sent_after_the_answer_though_a_clock_was_set_back_between_them() {
    let (store, _database) = open().await;
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    let before = START - Millis::minutes(60);
    store.receive("ack", Target::incident(IncidentId(1)), &typed("ack"), before).await.unwrap();
    store.take_next(move || before, |question: Question<'_>| answer(question.now)(question)).await.unwrap();
    let incident = store.incident(IncidentId(1)).await.unwrap().unwrap();
    let paged = incident.pages.values().map(|page| page.mark.at).max().expect("somebody is paged");
    assert!(incident.acknowledged.expect("it is answered").at >= paged);
}

#[tokio::test]
async fn several_processes_may_make_an_empty_database_at_the_same_moment() {
    let database = Database::of(Kind::Postgres).await;
    let open = || Store::open(&database.url);
    let (first, second, third) = tokio::join!(open(), open(), open());
    for store in [first, second, third] {
        store.expect("whoever comes second finds the work done").prepare_all().await.expect("it is whole");
    }
}

/// PostgreSQL lets nobody wait for longer than three seconds.
#[tokio::test]
async fn a_decision_that_could_not_have_its_incident_in_time_is_made_later_and_once() {
    let database = Database::of(Kind::Postgres).await;
    let store = Store::open(&database.url).await.unwrap();
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    store.receive("ack", Target::incident(IncidentId(1)), &typed("ack"), START).await.unwrap();
    let mut held = database.holds_an_incident(1).await;
    let (decided, ()) = tokio::join!(take_next(&store, START), async {
        held.when_it_was_waited_for_in_vain(2).await;
        held.commits().await;
    });
    assert_eq!(decided, [Taken::Done { incident: Some(IncidentId(1)) }]);
    let facts = store.timeline(IncidentId(1)).await.unwrap();
    assert_eq!(facts.iter().filter(|entry| matches!(entry.fact, Fact::Acknowledged)).count(), 1);
}
