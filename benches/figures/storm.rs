//! A thousand incidents declared at once in a workspace that keeps to Slack's rate limits: when the pages are out, and
//! how long the channels take against the least that Slack's limits allow.
//!
//! Slack's pace makes that most of an hour, so the clock is in the hand: it is moved to the next moment at which something
//! is due, and all else is real. The workspace counts calls by the same clock.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use vigie::app::practice::CONFIG;
use vigie::clock::Clock;
use vigie::incident::time::Millis;
use vigie::practice::phones::DeliveryKind;

use crate::by_hand::ByHand;
use crate::clock::pass;
use crate::database::{self, Database};
use crate::table::{Row, Table};
use crate::team::GENERAL;

const STORM: usize = 1_000;
/// What Slack takes of a method of tier 2 each minute.
const TIER_TWO: u64 = 20;
/// The methods of tier 2 that an incident begins with.
const SLOW: [&str; 5] =
    ["conversations.create", "conversations.setTopic", "conversations.setPurpose", "bookmarks.add", "pins.add"];
/// The hand is never moved further at once.
const STEP: Millis = Millis::minutes(1);

pub async fn measure(table: &mut Table) {
    let database = Database::fresh(database::Kind::Sqlite).await;
    // Nobody answers for hours, and nobody shall be paged again meanwhile: that would be another storm.
    let config = CONFIG.replace("wait: 1h", "wait: 90h");
    let world = ByHand::open(Clock::system().now(), &config, &database).await;
    world.team.ws().set_rate_limits(true);
    let (began, real) = (world.now(), Instant::now());
    let people = world.team.colleagues();
    let starts = people.iter().cycle().take(STORM).map(async |person| {
        let ack = person.command(GENERAL, "/incident", "start sev3 checkout returns 500").await;
        assert_eq!(ack.failure, None);
        real.elapsed()
    });
    let took = join_all(starts).await;
    while paged(&world) < STORM {
        pass(Duration::from_millis(20)).await;
    }
    let besides = format!("all paged by e-mail after {:.1} s, not a second by the clock", real.elapsed().as_secs_f64());
    assert_eq!(world.now(), began, "the clock was not moved");
    table.add(Row { figure: format!("ack of {STORM} starts at once"), bot: "Vigie, SQLite".into(), took, besides });
    table.add(channels(&world).await);
    world.let_go().await;
}

fn paged(world: &ByHand) -> usize {
    world.team.phones.deliveries().iter().filter(|delivery| delivery.kind == DeliveryKind::Email).count()
}

/// Moves the clock until every channel is complete: each call that an incident begins with was taken, and nothing was put
/// aside.
async fn channels(world: &ByHand) -> Row {
    let began = world.now();
    world.settle().await;
    while !world.is_through().await {
        let next = world.vigie.store.next_due_of_all().await.expect("the store answers");
        let wait = next.map_or(STEP, |at| at.since(world.now()));
        world.pass(Millis(wait.0.clamp(1, STEP.0))).await;
    }
    let (done, again) = (world.calls("ok").await, world.calls("retry").await);
    for method in SLOW {
        assert!(done.get(method).is_some_and(|taken| *taken >= STORM as u64), "{method}: {done:?}");
    }
    assert_eq!(world.vigie.store.put_aside().await.expect("the store answers"), 0, "every input was decided upon");
    let most = SLOW.iter().filter_map(|method| done.get(*method)).copied().max().unwrap_or(0);
    // What is left after the first minute's calls comes by so many a minute.
    let least = most.saturating_sub(TIER_TWO).div_ceil(TIER_TWO) * 60;
    let (refused, worst) = (again.values().sum::<u64>(), again.iter().max_by_key(|(_, count)| **count));
    let besides = format!(
        "{} s by the clock; the least that Slack's limits allow for {most} calls of one method is {least} s; {} calls \
         taken, {refused} refused{}",
        world.now().since(began).0 / 1_000,
        done.values().sum::<u64>(),
        worst.map(|(method, count)| format!(" ({count} of {method})")).unwrap_or_default()
    );
    Row { figure: format!("{STORM} channels complete"), bot: "Vigie, SQLite".into(), took: Vec::new(), besides }
}
