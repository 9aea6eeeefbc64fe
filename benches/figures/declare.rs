//! Thirty-two people who declare incidents as fast as they can, while every call of Slack takes 150 ms: how long each
//! waits for the acknowledgement, and how soon all are declared and paged.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use vigie::app::practice::CONFIG;
use vigie::practice::phones::DeliveryKind;
use vigie::practice::{Person, Trouble};

use crate::bot::Bot;
use crate::clock::pass;
use crate::database::{self, Database};
use crate::table::{Row, Table};
use crate::team::{GENERAL, Team};

/// How many each of them declares.
const EACH: usize = 20;
const SLACK: Duration = Duration::from_millis(150);

pub async fn measure(table: &mut Table) {
    for kind in [database::Kind::Sqlite, database::Kind::Postgres] {
        let (team, database) = (Team::open().await, Database::fresh(kind).await);
        let bot = Bot::vigie(&team, &database, CONFIG).await;
        bot.rests().await;
        team.ws().faults().until_cleared("*", Trouble::Slow(SLACK));
        let began = Instant::now();
        let took = join_all(team.colleagues().into_iter().map(declares)).await.concat();
        while paged(&team) < took.len() {
            pass(Duration::from_millis(20)).await;
        }
        let elapsed = began.elapsed().as_secs_f64();
        let besides =
            format!("{} declared and paged by e-mail within {elapsed:.1} s, {:.0} MB", took.len(), bot.memory());
        bot.stop().await;
        let figure = "ack of a start, 32 people at once, Slack in 150 ms".to_owned();
        table.add(Row { figure, bot: format!("Vigie, {}", kind.name()), took, besides });
    }
}

/// One after the other, each as soon as the one before is acknowledged.
async fn declares(person: Person) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in 1..=EACH {
        let line = format!("start sev2 checkout fails for {} again, time {number}", person.id());
        let began = Instant::now();
        let ack = person.command(GENERAL, "/incident", &line).await;
        assert_eq!(ack.failure, None);
        took.push(began.elapsed());
    }
    took
}

fn paged(team: &Team) -> usize {
    team.phones.deliveries().iter().filter(|delivery| delivery.kind == DeliveryKind::Email).count()
}
