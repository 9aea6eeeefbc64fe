//! Ten thousand open incidents: what Vigie takes while nothing happens, and how late it is with what time brings.
//!
//! The incidents are declared by command in a workspace whose clock is in the hand, so that hours pass in minutes; then
//! that Vigie ends, and `vigie serve` takes over the database by the machine's clock. The last of them were declared so
//! that their second level is due soon afterwards, some each second.

use std::time::Duration;

use futures_util::future::join_all;
use vigie::app::practice::CONFIG;
use vigie::clock::Clock;
use vigie::incident::time::Millis;
use vigie::incident::timeline::{Entry, Fact};
use vigie::store::Store;

use crate::bot::Bot;
use crate::by_hand::ByHand;
use crate::clock::pass;
use crate::database::{self, Database};
use crate::table::{Row, Table};
use crate::team::{GENERAL, Team};

/// Incidents of which nothing becomes due.
const QUIET: usize = 9_520;
/// Declared at once, ten by ten, before the clock is moved on.
const AT_ONCE: usize = 10;
/// Incidents of which something becomes due: so many each second, for so many seconds.
const DUE_A_SECOND: usize = 8;
const DUE_FOR: usize = 60;
/// When their second level is due.
const LEVEL: Millis = Millis::minutes(6 * 60);
/// From the take-over until the first is due, and for how long of that Vigie is watched doing nothing.
const UNTIL_DUE: Millis = Millis::minutes(4);
const IDLE: Duration = Duration::from_secs(30);
/// Effects that may wait before more is declared.
const BACKLOG: i64 = 200;
/// How far back it begins: the hand moves through it minute by minute.
const BACK: Millis = Millis::minutes(72 * 60);

pub async fn measure(table: &mut Table) {
    let database = Database::fresh(database::Kind::Sqlite).await;
    let team = fill(&database).await;
    let bot = Bot::vigie(&team, &database, &config()).await;
    bot.rests().await;
    let (before, memory) = (bot.processor(), bot.memory());
    pass(IDLE).await;
    let share = (bot.processor() - before).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let took = lateness(&database).await;
    let besides = format!(
        "ready after {:.0} ms; idle: {memory:.0} MB, {share:.1} % of a core; afterwards {:.0} MB",
        bot.took_to_start.as_secs_f64() * 1_000.0,
        bot.memory()
    );
    bot.stop().await;
    let figure = format!("wake with {} open incidents, {DUE_A_SECOND} due a second", QUIET + due());
    table.add(Row { figure, bot: "Vigie, SQLite".into(), took, besides });
}

const fn due() -> usize {
    DUE_A_SECOND * DUE_FOR
}

/// The practice team's configuration, with times in which nothing else becomes due.
fn config() -> String {
    let long = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "the practice configuration does not say “{from}”");
        text.replace(from, to)
    };
    let config = long(CONFIG, "wait: 1h", "wait: 90h");
    let config = long(&config, "update_every: 30m", "update_every: 90h");
    long(&config, "- contacts: [oncall]\n        wait: 15m", "- contacts: [oncall]\n        wait: 6h")
}

/// Declares everything, and has everything carried out that follows.
async fn fill(database: &Database) -> Team {
    let machine = Clock::system();
    let world = ByHand::open(machine.now() - BACK, &config(), database).await;
    let behind = || machine.now().since(world.now());
    let mut declared = 0;
    while declared < QUIET {
        declare(&world.team, "sev3", AT_ONCE).await;
        declared += AT_ONCE;
        world.pass(Millis::minutes(1)).await;
        while world.vigie.store.backlog().await.expect("the store answers").1 > BACKLOG {
            world.pass(Millis::minutes(1)).await;
        }
        if declared % 1_000 < AT_ONCE {
            eprintln!("{declared} incidents are open");
        }
    }
    while world.now() + LEVEL < machine.now() + UNTIL_DUE {
        world.pass(Millis::minutes(1)).await;
    }
    for _ in 0..DUE_FOR {
        declare(&world.team, "sev2", DUE_A_SECOND).await;
        world.pass(Millis::seconds(1)).await;
    }
    while behind() > Millis::seconds(5) {
        world.pass(Millis(behind().0.min(Millis::minutes(1).0))).await;
    }
    // The hand moved faster than Vigie looks after itself: it would tell ten thousand channels of an absence.
    while world.seen_alive().await.is_none_or(|at| world.now().since(at) > Millis::minutes(1)) {
        pass(Duration::from_millis(10)).await;
    }
    assert!(world.is_through().await, "everything was carried out while the clock was in the hand");
    world.let_go().await
}

async fn declare(team: &Team, severity: &str, count: usize) {
    let line = format!("start {severity} checkout returns 500");
    let people = team.colleagues();
    let acks = people.iter().take(count).map(|person| person.command(GENERAL, "/incident", &line));
    for ack in join_all(acks).await {
        assert_eq!(ack.failure, None);
    }
}

/// How long after its time the second level of each of the last incidents was paged, once all were.
async fn lateness(database: &Database) -> Vec<Duration> {
    let store = Store::open_to_read(&database.url).await.expect("the database can be read");
    let newest = u32::try_from(due()).expect("a number of incidents");
    let mut late = Vec::new();
    for incident in store.recent_incidents(newest).await.expect("the store answers") {
        let due = incident.declared.at + LEVEL;
        late.push(loop {
            let timeline = store.timeline(incident.id).await.expect("the store answers");
            let climbed = |entry: &&Entry| matches!(entry.fact, Fact::Escalated { level: 1, .. });
            match timeline.iter().find(climbed) {
                Some(entry) => break Duration::from_millis(entry.at.since(due).0.unsigned_abs()),
                None => pass(Duration::from_secs(1)).await,
            }
        });
    }
    store.close().await;
    late
}
