//! Vigie in this process with the clock in the hand, for what would take hours: everything in it is real but the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use vigie::app::Vigie;
use vigie::clock::Clock;
use vigie::config;
use vigie::incident::time::{Instant, Millis};
use vigie::slack::SlackConfig;

use crate::database::Database;
use crate::team::Team;

/// The bot, and the team around it.
pub struct ByHand {
    pub team: Team,
    pub vigie: Vigie,
    /// What Vigie tells over HTTP; its figures are kept from here on.
    routes: axum::Router,
    clock: Clock,
    /// The workspace goes by the machine's clock from now on.
    let_go: Arc<AtomicBool>,
    stop: CancellationToken,
    running: JoinHandle<()>,
    /// What was counted before it: a process has one set of figures.
    counted_before: BTreeMap<Call, u64>,
}

/// A method of Slack, and what became of the call.
type Call = (String, String);

impl ByHand {
    /// Opens the workspace at this moment and starts Vigie in it.
    pub async fn open(at: Instant, config: &str, database: &Database) -> Self {
        let (clock, machine, let_go) = (Clock::manual(at), Clock::system(), Arc::new(AtomicBool::new(false)));
        let (hand, free) = (clock.clone(), Arc::clone(&let_go));
        let now = move || if free.load(Ordering::SeqCst) { machine.now().0 } else { hand.now().0 };
        let team = Team::at(Arc::new(now)).await;
        let lookup = |name: &str| team.variables.iter().find(|(known, _)| *known == name).map(|(_, text)| text.clone());
        let config = config::parse("vigie.yml", config, &lookup).unwrap_or_else(|faults| panic!("{faults}"));
        let slack = SlackConfig {
            bot_token: team.practice.bot_token().into(),
            app_token: Some(team.practice.app_token().into()),
            signing_secret: None,
            api_url: team.practice.api_url().to_owned(),
        };
        let vigie = Vigie::assemble(config, &slack, &database.url, clock.clone()).await;
        let vigie = vigie.unwrap_or_else(|fault| panic!("{fault}"));
        let routes = vigie.routes();
        let counted_before = counted(&routes).await;
        let (stop, bot) = (CancellationToken::new(), vigie.clone());
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { bot.run(stop).await }
        });
        team.is_heard(Duration::from_secs(10)).await;
        Self { team, vigie, routes, clock, let_go, stop, running, counted_before }
    }

    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Waits until everything that came in is decided upon and everything that is due now is done.
    pub async fn settle(&self) {
        let store = &self.vigie.store;
        let mut changes = store.changes();
        loop {
            changes.mark_unchanged();
            let heard = self.team.ws().envelopes_waiting() == 0;
            if heard && store.is_at_rest(self.now()).await.expect("the store answers") {
                return;
            }
            // Not everything that is waited for is a change of the store.
            let _ = tokio::time::timeout(Duration::from_millis(20), changes.changed()).await;
        }
    }

    /// Moves the clock and waits until what that brought is done.
    pub async fn pass(&self, length: Millis) {
        self.vigie.advance(length).await.expect("the store answers");
        self.team.ws().tick();
        self.settle().await;
    }

    /// The last minute in which Vigie found all that was due done.
    pub async fn seen_alive(&self) -> Option<Instant> {
        self.vigie.store.number("alive_at").await.expect("the store answers").map(Instant)
    }

    /// Nothing waits, now or for later.
    pub async fn is_through(&self) -> bool {
        self.vigie.store.backlog().await.expect("the store answers") == (0, 0)
    }

    /// How often Vigie has called each method of Slack so far with this outcome, by its own figures.
    pub async fn calls(&self, outcome: &str) -> BTreeMap<String, u64> {
        let own = counted(&self.routes).await.into_iter().filter(|((_, became), _)| became == outcome);
        own.map(|(call, count)| {
            let before = self.counted_before.get(&call).copied().unwrap_or(0);
            (call.0, count - before)
        })
        .collect()
    }

    /// Stops Vigie in good order; the workspace stays, and goes by the machine's clock.
    pub async fn let_go(self) -> Team {
        self.stop.cancel();
        self.running.await.expect("it stops without a panic");
        self.vigie.store.close().await;
        self.let_go.store(true, Ordering::SeqCst);
        self.team
    }
}

/// How often each method of Slack was called in this process, and with what outcome.
async fn counted(routes: &axum::Router) -> BTreeMap<Call, u64> {
    let ask = Request::get("/metrics").body(Body::empty()).expect("a request");
    let Ok(answer) = routes.clone().oneshot(ask).await;
    let figures = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a text");
    let figures = String::from_utf8(figures.to_vec()).expect("figures are UTF-8");
    let read = |line: &str| {
        let (method, rest) = line.strip_prefix("vigie_slack_calls_total{method=\"")?.split_once("\",outcome=\"")?;
        let (outcome, count) = rest.split_once("\"} ")?;
        Some(((method.to_owned(), outcome.to_owned()), count.parse().expect("a count")))
    };
    figures.lines().filter_map(read).collect()
}
