//! What a bot takes when nothing happens, and how long it takes to be ready.

use std::time::Duration;

use crate::bot::{Bot, Kind};
use crate::clock::pass;
use crate::database::{self, Database};
use crate::table::{Row, Table};
use crate::team::Team;

/// Starts that are timed.
const STARTS: usize = 10;
/// What a start leaves to be done is done by then.
const SETTLED: Duration = Duration::from_secs(30);
/// How long nothing happens.
const QUIET: Duration = Duration::from_secs(60);

pub async fn measure(table: &mut Table) {
    let mut idle = Vec::new();
    for kind in [database::Kind::Sqlite, database::Kind::Postgres] {
        for bot in [Kind::Vigie, Kind::BoltJs, Kind::BoltPython] {
            idle.push(Idle::after_its_starts(bot, kind).await);
        }
    }
    // Nobody does anything, so all do nothing at the same time.
    pass(SETTLED).await;
    let before: Vec<Duration> = idle.iter().map(|idle| idle.bot.processor()).collect();
    pass(QUIET).await;
    for (idle, before) in idle.into_iter().zip(before) {
        table.add(idle.row(before).await);
    }
}

/// A bot that nobody says anything to, and how long each of its starts took.
struct Idle {
    name: String,
    took: Vec<Duration>,
    bot: Bot,
    /// They are there for as long as the bot is.
    _around: (Team, Database),
}

impl Idle {
    async fn after_its_starts(kind: Kind, database: database::Kind) -> Self {
        let name = format!("{}, {}", kind.name(), database.name());
        let mut took = Vec::new();
        loop {
            let around = (Team::open().await, Database::fresh(database).await);
            let bot = Bot::start(kind, &around.0, &around.1).await;
            took.push(bot.took_to_start);
            if took.len() == STARTS {
                return Self { name, took, bot, _around: around };
            }
            bot.stop().await;
        }
    }

    async fn row(self, before: Duration) -> Row {
        let share = (self.bot.processor() - before).as_secs_f64() / QUIET.as_secs_f64() * 100.0;
        let besides = format!("idle: {:.0} MB, {share:.2} % of a core", self.bot.memory());
        self.bot.stop().await;
        Row { figure: "start to ready".into(), bot: self.name, took: self.took, besides }
    }
}
