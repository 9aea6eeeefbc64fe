//! Slack is not reached for a while: nothing listens where it was, and every connection is cut. People are paged by what
//! is left, and what Slack missed is there when it is back.

use std::cell::Cell;
use std::time::Duration;

use super::check::{Allowed, check};
use super::people::People;
use super::town::Town;
use super::{LEASE, chance, pass, rounds};
use crate::database::{Database, Kind};

#[tokio::test]
async fn a_slack_that_is_away_for_a_while_delays_no_page_but_its_own() {
    const AWAY: std::ops::Range<u64> = 1_000..6_000;
    const THERE: std::ops::Range<u64> = 500..3_000;
    let database = Database::fresh().await;
    let town = Town::open(&database.url).await;
    let (people, is_over, rounds) = (People::of(&town), Cell::new(false), rounds(2));
    let bot = town.start().await;
    let unplugging = async {
        let mut chance = chance();
        for _ in 0..rounds {
            pass(Duration::from_millis(chance.u64(THERE))).await;
            town.setup.practice.unplug();
            pass(Duration::from_millis(chance.u64(AWAY))).await;
            town.setup.practice.plug_in().await.expect("the port is free");
        }
        is_over.set(true);
    };
    tokio::join!(unplugging, people.work(&is_over));
    let late = LEASE + Duration::from_secs(10);
    let allowed = Allowed { late, after_answer: Duration::from_secs(10), asked_again: false };
    check(&town, &people, "slack", Kind::chosen().word(), rounds, &allowed).await;
    bot.stop().await;
}
