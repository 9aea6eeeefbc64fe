//! What a commit brings waits in its order, whoever brought it and however many share the commit.

use std::collections::BTreeSet;

use vigie::incident::decision::{Effect, Input, Lane, ReplyTo};
use vigie::incident::id::{IncidentId, UserId};
use vigie::incident::people::Actor;
use vigie::incident::time::Millis;
use vigie::store::{Claimed, Store, Target};

use crate::database::Database;
use crate::script::START;
use crate::store::{take_all, take_next, typed};

const LEASE: Millis = Millis::seconds(60);

/// The same line, typed by somebody.
fn typed_by(user: &UserId, line: &str) -> Input {
    let Input::Command { command, channel, .. } = typed(line) else { unreachable!("a line is a command") };
    let reply = ReplyTo::Person { user: user.clone(), channel: None, response_url: None };
    Input::Command { by: Actor::Person(user.clone()), command, channel, reply }
}

/// Everything that waits in the lane of chat, in the order in which it is carried out.
pub async fn chat(store: &Store) -> Vec<Claimed> {
    let mut all = Vec::new();
    loop {
        let claimed = store.claim(Lane::Chat, START, LEASE, 50).await.unwrap();
        if claimed.is_empty() {
            return all;
        }
        for one in claimed {
            store.done(&one, vec![], START).await.unwrap();
            all.push(one);
        }
    }
}

#[tokio::test]
async fn whoever_shares_a_commit_is_answered_in_the_order_in_which_they_asked() {
    let database = Database::fresh().await;
    let store = Store::open(&database.url).await.unwrap();
    store.receive("start", Target::default(), &typed("start sev2 one"), START).await.unwrap();
    take_all(&store, START).await;
    chat(&store).await;
    // Each is answered, and has a Home that shows the incident.
    let people: Vec<UserId> = (1..=8).rev().map(|number| UserId(format!("U0PERSON{number}"))).collect();
    for user in &people {
        let asks = typed_by(user, "role scribe me");
        store.receive(&user.0, Target::incident(IncidentId(1)), &asks, START).await.unwrap();
    }
    assert_eq!(take_next(&store, START).await.len(), people.len(), "they share a commit");
    let effects = chat(&store).await;
    let answered = effects.iter().filter_map(|one| match &one.effect {
        Effect::Reply { to: ReplyTo::Person { user, .. }, .. } => Some(user.clone()),
        _ => None,
    });
    assert_eq!(answered.collect::<Vec<_>>(), people);
    let copies: Vec<_> = effects.iter().filter_map(|one| Some((&one.queue, one.effect.fold_key()?))).collect();
    let each: BTreeSet<_> = copies.iter().cloned().collect();
    assert_eq!(copies.len(), each.len(), "every card and every Home once: {copies:?}");
}
