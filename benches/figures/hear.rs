//! How long a bot is deaf: after its sockets were cut, after they fell silent without a word, and how hard it knocks
//! while Slack takes no sockets.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::mpsc;
use vigie::practice::Trouble;

use crate::bot::{Bot, Kind};
use crate::clock::pass;
use crate::database::{self, Database};
use crate::table::{Row, Table};
use crate::team::{GENERAL, Team};

/// How often the sockets are cut, and how long they have served by then: one that is cut at once may be waited with.
const CUTS: usize = 10;
const SERVED: Duration = Duration::from_secs(7);
/// How often they fall silent, each time at another moment between two pings.
const SILENCES: u32 = 4;
const LATER: Duration = Duration::from_millis(1_300);
/// How long Slack takes no sockets, each time: for not all bots shall have paused for just so long.
const CLOSED: [Duration; 4] =
    [Duration::from_secs(23), Duration::from_secs(29), Duration::from_secs(34), Duration::from_secs(42)];
/// Whoever hears nothing for so long is deaf for good.
const LONGEST: Duration = Duration::from_secs(120);
const BOTS: [Kind; 3] = [Kind::Vigie, Kind::BoltJs, Kind::BoltPython];

pub async fn measure(table: &mut Table) {
    // Nobody works while it is deaf, so all are deaf at the same time.
    for (kind, took) in BOTS.into_iter().zip(join_all(BOTS.map(cut)).await) {
        table.add(row("heard again after a cut", kind, took, String::new()));
    }
    for (kind, took) in BOTS.into_iter().zip(join_all(BOTS.map(silenced)).await) {
        table.add(row("heard again after silence", kind, took, String::new()));
    }
    for (kind, (took, besides)) in BOTS.into_iter().zip(join_all(BOTS.map(refused)).await) {
        table.add(row("heard again after 23 to 42 s of refusals", kind, took, besides));
    }
}

fn row(figure: &str, kind: Kind, took: Vec<Duration>, besides: String) -> Row {
    Row { figure: figure.to_owned(), bot: kind.name().to_owned(), took, besides }
}

async fn cut(kind: Kind) -> Vec<Duration> {
    let (team, bot, sockets) = listening(kind).await;
    let mut took = Vec::new();
    for _ in 0..CUTS {
        pass(SERVED).await;
        team.ws().abort_sockets();
        took.push(heard_again(&team, Duration::from_millis(5)).await);
        has_its_sockets(&team, sockets).await;
    }
    bot.stop().await;
    took
}

async fn silenced(kind: Kind) -> Vec<Duration> {
    let (team, bot, sockets) = listening(kind).await;
    let mut took = Vec::new();
    for number in 1..=SILENCES {
        pass(LATER * number).await;
        team.ws().silence_sockets();
        took.push(heard_again(&team, Duration::from_millis(100)).await);
        has_its_sockets(&team, sockets).await;
        // Slack gives up what nobody answers on any more.
        team.ws().cut_silent_sockets();
    }
    bot.stop().await;
    took
}

/// How long after the refusals it is heard again, and how often it knocked meanwhile.
async fn refused(kind: Kind) -> (Vec<Duration>, String) {
    const OPEN: &str = "apps.connections.open";
    let (mut took, mut all, mut most, mut used) = (Vec::new(), 0, 0, Duration::ZERO);
    for closed in CLOSED {
        // Each time another one: a bot may take long to be whole again, or never be.
        let (team, bot, _) = listening(kind).await;
        let (before, processor) = (team.ws().calls_of(OPEN).len(), bot.processor());
        team.ws().faults().until_cleared(OPEN, Trouble::ServerError);
        team.ws().abort_sockets();
        pass(closed).await;
        let knocks: Vec<i64> = team.ws().calls_of(OPEN).iter().skip(before).map(|call| call.at_ms).collect();
        let in_a_second = |from: &i64| knocks.iter().filter(|at| (*from..from + 1_000).contains(at)).count();
        all += knocks.len();
        most = knocks.iter().map(in_a_second).max().unwrap_or(0).max(most);
        used += bot.processor() - processor;
        team.ws().faults().clear();
        took.push(heard_again(&team, Duration::from_millis(20)).await);
        bot.stop().await;
    }
    let closed: f64 = CLOSED.iter().map(Duration::as_secs_f64).sum();
    let share = used.as_secs_f64() / closed * 100.0;
    (took, format!("{all} attempts in {closed:.0} s, at most {most} in one; {share:.1} % of a core"))
}

/// A bot that hears, and how many sockets it keeps.
async fn listening(kind: Kind) -> (Team, Bot, usize) {
    let (team, database) = (Team::open().await, Database::fresh(database::Kind::Sqlite).await);
    let bot = Bot::start(kind, &team, &database).await;
    let sockets = if kind == Kind::Vigie { 2 } else { 1 };
    has_its_sockets(&team, sockets).await;
    (team, bot, sockets)
}

async fn has_its_sockets(team: &Team, sockets: usize) {
    let has = team.ws().wait_for(|ws| (ws.open_sockets() >= sockets).then_some(()));
    has.await.unwrap_or_else(|vain| panic!("{vain}"));
}

/// Somebody types again and again until something is acknowledged.
async fn heard_again(team: &Team, every: Duration) -> Duration {
    let (began, person) = (Instant::now(), team.ws().person("U0LEAD"));
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut again = tokio::time::interval(every);
    let heard = async {
        loop {
            tokio::select! {
                Some(took) = told.recv() => return took,
                _ = again.tick() => {
                    let (person, tell) = (person.clone(), tell.clone());
                    tokio::spawn(async move {
                        if person.command(GENERAL, "/incident", "list").await.failure.is_none() {
                            // Only the first one is waited for.
                            let _ = tell.send(began.elapsed());
                        }
                    });
                }
            }
        }
    };
    tokio::time::timeout(LONGEST, heard).await.unwrap_or(LONGEST)
}
