//! What follows `/incident start sev2 …`, and when: the page is handed over by e-mail, by text message and in Slack, the
//! channel is there, the card is in it, the responders are in it.
//!
//! Each wait counts from the moment of typing to the moment by the clock of whoever took it, in whole milliseconds: the
//! phones, or the workspace once its work is done. Incidents come one after the other, each when the one before is whole,
//! and few to a process, so that Vigie's own pace, which keeps to Slack's limits, is not what is measured.

use std::time::Duration;

use vigie::app::practice::CONFIG;
use vigie::practice::Trouble;
use vigie::practice::phones::{Delivery, DeliveryKind};
use vigie::practice::workspace::CallRecord;

use crate::bot::Bot;
use crate::database::{self, Database};
use crate::table::{Row, Table};
use crate::team::{GENERAL, Team};

/// Processes, one after the other.
const ROUNDS: usize = 10;
/// Incidents to each.
const TO_A_ROUND: usize = 4;
/// How Slack is.
const SLACKS: [(&str, Option<Trouble>); 3] = [
    ("Slack at once", None),
    ("Slack in 150 ms", Some(Trouble::Slow(Duration::from_millis(150)))),
    ("Slack says 429", Some(Trouble::RateLimited { retry_after_s: 30 })),
];
/// What is waited for, in the order in which it is told.
const STAGES: [&str; 6] =
    ["page by e-mail", "page by SMS", "page in Slack", "channel created", "card posted", "responders invited"];
/// With Slack out of reach, this is all there is.
const WITHOUT_SLACK: usize = 2;

pub async fn measure(table: &mut Table) {
    for (slack, trouble) in SLACKS {
        for kind in [database::Kind::Sqlite, database::Kind::Postgres] {
            let incidents = incidents(kind, trouble.as_ref()).await;
            let stages =
                if matches!(trouble, Some(Trouble::RateLimited { .. })) { WITHOUT_SLACK } else { STAGES.len() };
            for (at, stage) in STAGES.iter().enumerate().take(stages) {
                let took = incidents.iter().map(|waits| waits[at]).collect();
                let bot = format!("Vigie, {}", kind.name());
                table.add(Row { figure: format!("start → {stage}, {slack}"), bot, took, besides: String::new() });
            }
        }
    }
}

/// The waits of every incident, in the order of [`STAGES`].
async fn incidents(kind: database::Kind, trouble: Option<&Trouble>) -> Vec<Vec<Duration>> {
    let config = CONFIG.replacen("page_with: [slack, email]", "page_with: [slack, email, sms]", 1);
    let mut waits = Vec::new();
    for _ in 0..ROUNDS {
        let (team, database) = (Team::open().await, Database::fresh(kind).await);
        let bot = Bot::vigie(&team, &database, &config).await;
        bot.rests().await;
        if let Some(trouble) = trouble {
            team.ws().faults().until_cleared("*", trouble.clone());
        }
        for number in 1..=TO_A_ROUND {
            waits.push(incident(&team, &format!("checkout {number} returns 500"), trouble).await);
            if !matches!(trouble, Some(Trouble::RateLimited { .. })) {
                bot.rests().await;
            }
        }
        bot.stop().await;
    }
    waits
}

async fn incident(team: &Team, title: &str, trouble: Option<&Trouble>) -> Vec<Duration> {
    let person = team.ws().person("U0LEAD");
    let began = team.ws().now_ms();
    let ack = person.command(GENERAL, "/incident", &format!("start sev2 {title}")).await;
    assert_eq!(ack.failure, None);
    let stages = if matches!(trouble, Some(Trouble::RateLimited { .. })) { WITHOUT_SLACK } else { STAGES.len() };
    let done = |team: &Team| {
        let times = times(team, began);
        times[..stages].iter().all(Option::is_some).then_some(times)
    };
    let times = team.ws().wait_for(|_| done(team)).await.unwrap_or_else(|vain| panic!("{title}: {vain}"));
    let since = |at: Option<i64>| Duration::from_millis(at.map_or(0, |at| (at - began).unsigned_abs()));
    times.into_iter().map(since).collect()
}

/// When each of [`STAGES`] was reached.
fn times(team: &Team, began: i64) -> [Option<i64>; 6] {
    let deliveries = team.phones.deliveries();
    let delivered = |kind| {
        let its = |delivery: &&Delivery| delivery.kind == kind && delivery.at_ms >= began;
        deliveries.iter().find(its).map(|delivery| delivery.at_ms)
    };
    let calls: Vec<CallRecord> =
        team.ws().calls().into_iter().filter(|call| call.at_ms >= began && call.is_ok()).collect();
    let first = |method: &str, of: &dyn Fn(&str) -> bool| {
        let channel = |call: &CallRecord| call.args["channel"].as_str().unwrap_or_default().to_owned();
        calls.iter().find(|call| call.method == method && of(&channel(call))).map(|call| call.at_ms)
    };
    let channel = calls.iter().find(|call| call.method == "conversations.create");
    let channel = channel.and_then(|call| call.answer["channel"]["id"].as_str()).unwrap_or_default();
    [
        delivered(DeliveryKind::Email),
        delivered(DeliveryKind::Sms),
        first("chat.postMessage", &|channel| channel.starts_with('D')),
        first("conversations.create", &|_| true),
        first("chat.postMessage", &|to| !channel.is_empty() && to == channel),
        first("conversations.invite", &|to| !channel.is_empty() && to == channel),
    ]
}
