//! How long somebody who types a command waits for the acknowledgement, with the command committed before it.
//!
//! Open loop: the moments at which people type are fixed in advance, and each wait counts from its moment, so that a bot
//! that falls behind is seen to. The command is `/incident list` with no incident open, the cheapest that Vigie keeps:
//! afterwards Vigie also decides upon it and answers it by its `response_url`. Of the bots beside it one does the like, and
//! the others do nothing more. An acknowledgement that says something says here that it did not work, and counts as lost.
//! What was acknowledged is looked for in the database afterwards.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::bot::{self, Bot};
use crate::database::{self, Database};
use crate::floor;
use crate::table::{Row, Table};
use crate::team::{GENERAL, Team};

/// Commands a second, and for how long: not more in all than the practice workspace remembers easily.
const RATES: [(u32, Duration); 3] =
    [(50, Duration::from_secs(10)), (200, Duration::from_secs(8)), (1_000, Duration::from_secs(6))];
/// A short time before it counts.
const WARM_UP: (u32, Duration) = (100, Duration::from_secs(3));
/// What is not acknowledged by then, Slack gives up.
const SLACKS_PATIENCE: Duration = Duration::from_secs(3);

/// All is answered by then, or never.
const LONGEST: Duration = Duration::from_secs(120);

const BOTS: [bot::Kind; 4] = [bot::Kind::Vigie, bot::Kind::BoltJs, bot::Kind::BoltJsAnswering, bot::Kind::BoltPython];

pub async fn measure(table: &mut Table) {
    let took = floor::disk();
    table.add(Row { figure: "4 KB written and safe".into(), bot: "the disk".into(), took, besides: String::new() });
    let mut rows = floor_rows().await;
    for kind in [database::Kind::Sqlite, database::Kind::Postgres] {
        for bot in BOTS {
            rows.extend(bot_rows(bot, kind).await);
        }
    }
    for (rate, _) in RATES {
        let figure = format!("ack at {rate}/s");
        let (now, later): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.figure == figure);
        now.into_iter().for_each(|row| table.add(row));
        rows = later;
    }
}

async fn floor_rows() -> Vec<Row> {
    let team = Team::open().await;
    let _client = floor::Client::connect(&team).await;
    typed(&team, WARM_UP).await;
    let mut rows = Vec::new();
    for pace in RATES {
        rows.push(row(pace, "acknowledges at once, keeps nothing".into(), typed(&team, pace).await));
    }
    rows
}

async fn bot_rows(kind: bot::Kind, store: database::Kind) -> Vec<Row> {
    let name = format!("{}, {}", kind.name(), store.name());
    let (team, database) = (Team::open().await, Database::fresh(store).await);
    let bot = Bot::start(kind, &team, &database).await;
    let mut due = typed(&team, WARM_UP).await.iter().filter(|wait| !wait.lost).count();
    let mut rows = Vec::new();
    for pace in RATES {
        let waits = typed(&team, pace).await;
        due += waits.iter().filter(|wait| !wait.lost).count();
        let mut row = row(pace, name.clone(), waits);
        row.besides += &format!("{:.0} MB", bot.memory());
        if kind.answers() {
            row.besides += &format!(", all answered {:.1} s later", answered(&team, due).await.as_secs_f64());
        }
        if kind == bot::Kind::Vigie {
            bot.rests().await;
        }
        rows.push(row);
    }
    bot.stop().await;
    let kept = database.commands_kept().await;
    assert!(kept >= due, "{name} acknowledged {due} commands and kept {kept}");
    rows
}

/// How long it takes until so many answers have been shown.
async fn answered(team: &Team, due: usize) -> Duration {
    let began = Instant::now();
    let mut again = tokio::time::interval(Duration::from_millis(20));
    let all = async {
        while team.answers() < due {
            again.tick().await;
        }
    };
    tokio::time::timeout(LONGEST, all).await.expect("everything is answered");
    began.elapsed()
}

/// What became of one command.
struct Wait {
    took: Duration,
    lost: bool,
}

fn row((rate, _): (u32, Duration), bot: String, waits: Vec<Wait>) -> Row {
    let lost = waits.iter().filter(|wait| wait.lost).count();
    let besides = if lost > 0 { format!("{lost} lost, ") } else { String::new() };
    let took = waits.into_iter().map(|wait| wait.took).collect();
    Row { figure: format!("ack at {rate}/s"), bot, took, besides }
}

/// The colleagues type in turn, at moments that were fixed before; what is lost counts as long as Slack waits.
async fn typed(team: &Team, (rate, length): (u32, Duration)) -> Vec<Wait> {
    let (people, runtime) = (team.colleagues(), tokio::runtime::Handle::current());
    let every = Duration::from_secs(1) / rate;
    let count = length.as_nanos() / every.as_nanos();
    let typing = tokio::task::spawn_blocking(move || {
        let begin = Instant::now();
        let typing = people.iter().cycle().zip(1..=u32::try_from(count).expect("a number of commands"));
        let typing = typing.map(|(person, number)| {
            let (person, moment) = (person.clone(), begin + every * number);
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
            runtime.spawn(async move {
                let ack = person.command(GENERAL, "/incident", "list").await;
                let (took, lost) = (moment.elapsed(), ack.failure.is_some() || ack.text().is_some());
                Wait { took: if lost { took.max(SLACKS_PATIENCE) } else { took }, lost }
            })
        });
        typing.collect::<Vec<_>>()
    });
    let waits = join_all(typing.await.expect("typing does not fail")).await;
    waits.into_iter().map(|wait| wait.expect("waiting does not fail")).collect()
}
