//! A process stops in mid-air for longer than its leases last, and goes on as if no time had passed: a machine that was
//! suspended, a paused container. Alone it has to find back by itself; beside another one it must not do again what that
//! one did meanwhile.

use std::cell::Cell;
use std::time::Duration;

use super::check::{Allowed, check};
use super::people::People;
use super::town::Town;
use super::{LEASE, chance, pass, rounds};
use crate::bot::Bot;
use crate::database::{Database, Kind};

/// Longer than any lease.
const FROZEN: Duration = LEASE.saturating_add(Duration::from_secs(2));
/// How long one of two works on an incident before it freezes, in milliseconds.
const WORKS: std::ops::Range<u64> = 0..1_500;
/// The same of one that is alone: people whom it left without an answer try again after seconds, and need it once there.
const WORKS_ALONE: std::ops::Range<u64> = 0..12_000;

/// What was handed over before the answer may have been in a frozen hand.
const ALLOWED: Allowed = Allowed {
    late: FROZEN.saturating_add(Duration::from_secs(15)),
    after_answer: FROZEN.saturating_add(Duration::from_secs(10)),
    asked_again: true,
};

/// Freezes the processes in turn.
async fn freeze_in_turn(bots: &[Bot], works: std::ops::Range<u64>, people: &People<'_>, rounds: u32) {
    let mut chance = chance();
    for bot in bots.iter().cycle().take(usize::try_from(rounds).expect("a number of rounds")) {
        people.are_busy().await;
        pass(Duration::from_millis(chance.u64(works.clone()))).await;
        bot.freeze().await;
        pass(FROZEN).await;
        bot.thaw().await;
    }
}

#[tokio::test]
async fn a_process_that_was_frozen_alone_makes_up_for_it() {
    let database = Database::fresh().await;
    let town = Town::open(&database.url).await;
    let (people, is_over, rounds) = (People::of(&town), Cell::new(false), rounds(1));
    let bots = [town.start().await];
    let freezing = async {
        freeze_in_turn(&bots, WORKS_ALONE, &people, rounds).await;
        is_over.set(true);
    };
    tokio::join!(freezing, people.work(&is_over));
    check(&town, &people, "freeze", Kind::chosen().word(), rounds, &ALLOWED).await;
    let [bot] = bots;
    bot.stop().await;
}

#[tokio::test]
async fn of_two_replicas_the_frozen_one_does_nothing_again_when_it_goes_on() {
    let database = Database::of(Kind::Postgres).await;
    let town = Town::open(&database.url).await;
    let (people, is_over, rounds) = (People::of(&town), Cell::new(false), rounds(1));
    let bots = [town.start().await, town.start().await];
    let freezing = async {
        freeze_in_turn(&bots, WORKS, &people, rounds).await;
        is_over.set(true);
    };
    tokio::join!(freezing, people.work(&is_over));
    check(&town, &people, "freeze-of-two", "postgres", rounds, &ALLOWED).await;
    for bot in bots {
        bot.stop().await;
    }
}
