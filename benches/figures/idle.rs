//! What a bot takes when nothing happens, and how long it takes to be ready.

use std::time::Duration;

use crate::bot::{Bot, Kind};
use crate::clock::pass;
use crate::database::{self, Database};
use crate::table::{Row, Table};
use crate::team::Team;

/// Starts that are timed.
const STARTS: usize = 10;
/// How long nothing happens.
const QUIET: Duration = Duration::from_secs(10);

pub async fn measure(table: &mut Table) {
    for kind in [database::Kind::Sqlite, database::Kind::Postgres] {
        for bot in [Kind::Vigie, Kind::BoltJs, Kind::BoltPython] {
            let row = row(bot, kind).await;
            table.add(row);
        }
    }
}

async fn row(kind: Kind, database: database::Kind) -> Row {
    let bot = format!("{}, {}", kind.name(), database.name());
    let team = Team::open().await;
    let mut took = Vec::new();
    let mut besides = String::new();
    for number in 1..=STARTS {
        let database = Database::fresh(database).await;
        let bot = Bot::start(kind, &team, &database).await;
        took.push(bot.took_to_start);
        if number == STARTS {
            let before = bot.processor();
            pass(QUIET).await;
            let share = (bot.processor() - before).as_secs_f64() / QUIET.as_secs_f64() * 100.0;
            besides = format!("idle: {:.0} MB, {share:.1} % of a core", bot.memory());
        }
        bot.stop().await;
    }
    Row { figure: "start to ready".into(), bot, took, besides }
}
