//! The power goes, again and again, at moments that nobody chose.

use std::cell::Cell;
use std::time::Duration;

use vigie::practice::phones::{DeliveryKind, Door, Fault};

use super::check::{Allowed, check};
use super::people::People;
use super::town::Town;
use super::{LEASE, chance, pass, rounds, until};
use crate::bot::Bot;
use crate::database::{Database, Kind};

/// How long a process lives before it is killed, in milliseconds: often it has not even finished starting.
const LIFE: std::ops::Range<u64> = 150..2_500;

/// Begins a process and kills it, so many times, and starts one that stays.
async fn kill_again_and_again(town: &Town, mut chance: fastrand::Rng, rounds: u32) -> Bot {
    for _ in 0..rounds {
        let bot = town.begin();
        pass(Duration::from_millis(chance.u64(LIFE))).await;
        bot.kill().await;
    }
    town.start().await
}

#[tokio::test]
async fn a_process_that_is_killed_at_any_moment_loses_nothing_and_does_nothing_twice() {
    let database = Database::fresh().await;
    let town = Town::open(&database.url).await;
    let people = People::of(&town);
    let (is_over, rounds) = (Cell::new(false), rounds(8));
    let mut chance = chance();
    // A SQLite file has one process at a time. On PostgreSQL two share the work, and either may die while the other lives.
    let seats = if Kind::chosen() == Kind::Postgres { 2 } else { 1 };
    let killing = async {
        let seats = (0..seats).map(|_| kill_again_and_again(&town, chance.fork(), rounds));
        let bots = futures_util::future::join_all(seats).await;
        is_over.set(true);
        bots
    };
    let (bots, ()) = tokio::join!(killing, people.work(&is_over));
    // Nobody comes back for long while one start after the other is killed.
    let late = LEASE + Duration::from_secs(20);
    let allowed = Allowed { late, after_answer: Duration::from_secs(10), asked_again: false };
    check(&town, &people, "kill", Kind::chosen().word(), rounds * seats, &allowed).await;
    for bot in bots {
        bot.stop().await;
    }
}

/// SQLite has one process at a time, so whoever opens the file knows that nobody holds a lease; on PostgreSQL the owner
/// may only be slow.
fn taken_up_within(kind: Kind) -> Duration {
    match kind {
        Kind::Sqlite => Duration::from_secs(5),
        Kind::Postgres => LEASE + Duration::from_secs(5),
    }
}

#[tokio::test]
async fn a_page_that_was_under_way_in_a_killed_process_goes_out_soon_after_the_restart() {
    let database = Database::fresh().await;
    let town = Town::open(&database.url).await;
    let people = People::of(&town);
    let bot = town.start().await;
    town.setup.phones.fail_next(Door::Smtp, Fault::Hang, 1);
    // Nobody else is paged for an hour.
    let number = people.declare("sev3").await;
    let under_way = async || (town.setup.phones.faults_left() == 0).then_some(());
    until("the e-mail is under way", Duration::from_secs(20), under_way).await;
    bot.kill().await;
    assert!(town.setup.phones.deliveries().iter().all(|one| one.kind != DeliveryKind::Email), "it was not delivered");
    let bot = town.start().await;
    let came = async || town.setup.phones.deliveries().into_iter().find(|one| one.kind == DeliveryKind::Email);
    let mail = until("the e-mail", taken_up_within(Kind::chosen()), came).await;
    assert!(mail.body.contains(&format!("inc_{number}")), "{mail:?}");
    people.insists("U0ONCALL", &format!("ack --in inc_{number}")).await;
    let allowed =
        Allowed { late: LEASE + Duration::from_secs(10), after_answer: Duration::from_secs(10), asked_again: false };
    check(&town, &people, "kill-while-paging", Kind::chosen().word(), 1, &allowed).await;
    bot.stop().await;
}
