//! The world of the wire tests: the real bot, the strict practice workspace, a clock in the hand.

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use vigie::app::practice::{Options, Setup, set_up};
use vigie::clock::Clock;
use vigie::incident::id::IncidentId;
use vigie::incident::state::{Incident, replay};
use vigie::incident::time::Millis;
use vigie::practice::{CommandAck, Workspace};

use crate::script::START;

/// The channel where incidents are announced.
pub const INCIDENTS: &str = "C0INCIDENTS";

/// Everything, running.
pub struct World {
    pub setup: Setup,
    pub clock: Clock,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl World {
    /// Opens the world and waits until the bot hears.
    pub async fn open() -> Self {
        Self::open_in("en").await
    }

    /// The same in another language.
    pub async fn open_in(locale: &str) -> Self {
        let clock = Clock::manual(START);
        let options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            locale: locale.to_owned(),
            clock: clock.clone(),
            rate_limits: false,
            database: None,
        };
        let setup = set_up(options).await.unwrap_or_else(|fault| panic!("{fault}"));
        let stop = CancellationToken::new();
        let (vigie, token) = (setup.vigie.clone(), stop.clone());
        let running = tokio::spawn(async move { vigie.run(token).await });
        let world = Self { setup, clock, stop, running };
        world.ws().wait_for(|ws| (ws.open_sockets() > 0).then_some(())).await.expect("the bot connects");
        world
    }

    pub fn ws(&self) -> &Workspace {
        self.setup.workspace()
    }

    /// Types `/incident …` and waits until everything that follows is done.
    pub async fn types(&self, who: &str, channel: &str, text: &str) -> CommandAck {
        let ack = self.ws().person(who).command(channel, "/incident", text).await;
        assert_eq!(ack.failure, None, "/incident {text}");
        self.settle().await;
        ack
    }

    /// Clicks a button by its action id, text or value.
    pub async fn clicks(&self, who: &str, channel: &str, ts: &str, wanted: &str) {
        let acted = self.ws().person(who).click(channel, ts, wanted).await.unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(acted.failure, None, "click on {wanted}");
        self.settle().await;
    }

    /// Waits until everything that came in is decided and everything that is due is done. Where something waits for a
    /// moment (Slack's limits, another try), the clock is moved to that moment: at most a minute at a time.
    pub async fn settle(&self) {
        let store = &self.setup.vigie.store;
        let mut changes = store.changes();
        let quiet = async {
            loop {
                changes.mark_unchanged();
                let now = self.clock.now();
                let heard = self.ws().envelopes_waiting() == 0;
                if heard && store.is_at_rest(now).await.expect("the store answers") {
                    let next = store.next_due().await.expect("the store answers");
                    match next.map(|at| at.since(now)) {
                        Some(soon) if soon <= Millis::minutes(1) => {
                            self.setup.vigie.advance(soon).await.expect("the store answers");
                            self.ws().tick();
                            continue;
                        }
                        _ => return,
                    }
                }
                let _ = tokio::time::timeout(std::time::Duration::from_millis(200), changes.changed()).await;
            }
        };
        let settled = tokio::time::timeout(std::time::Duration::from_secs(30), quiet).await;
        assert!(settled.is_ok(), "the world did not come to rest; waiting: {:?}", store.waiting().await);
    }

    /// Moves the clock and waits until what that brought is done.
    pub async fn pass(&self, minutes: i64) {
        self.setup.vigie.advance(Millis::minutes(minutes)).await.expect("the store answers");
        self.ws().tick();
        self.settle().await;
    }

    /// The incident, replayed from its timeline on the way.
    pub async fn incident(&self, number: i64) -> Incident {
        let store = &self.setup.vigie.store;
        let incident =
            store.incident(IncidentId(number)).await.expect("the store answers").expect("the incident exists");
        let timeline = store.timeline(incident.id).await.expect("the store answers");
        assert_eq!(replay(&timeline).expect("the timeline is whole"), incident, "the timeline replays to the row");
        incident
    }

    /// The incident's channel.
    pub async fn channel(&self, number: i64) -> String {
        self.incident(number).await.channel.expect("the channel exists").id.0
    }

    /// The newest message of a channel whose text or blocks say this.
    pub fn message(&self, channel: &str, says: &str) -> Value {
        let messages = self.ws().messages(channel);
        let found = messages.iter().rev().find(|message| message.to_string().contains(says));
        found.cloned().unwrap_or_else(|| panic!("no message says “{says}” in {channel}: {}", texts(&messages)))
    }

    /// The newest message that only this person sees and that says this.
    pub fn whisper(&self, who: &str, says: &str) -> Value {
        let messages = self.ws().ephemerals(who);
        let found = messages.iter().rev().find(|message| message.to_string().contains(says));
        found.cloned().unwrap_or_else(|| panic!("nothing says “{says}” to {who}: {}", texts(&messages)))
    }

    /// The direct messages that the bot sent somebody, oldest first.
    pub fn dms(&self, who: &str) -> Vec<Value> {
        let bot = self.ws().app().bot_user;
        let channel = self.ws().person(who).open_dm(&bot);
        self.ws().messages(&channel)
    }

    /// Stops the bot and demands that Slack had nothing to complain about.
    pub async fn close(self) {
        self.settle().await;
        self.stop.cancel();
        self.running.await.expect("the bot stops without a panic");
        crate::payloads::keep(self.setup.workspace());
        let violations = self.setup.workspace().violations();
        assert!(violations.is_empty(), "Slack would have refused: {violations:#?}");
    }
}

/// The `ts` of a message.
pub fn ts(message: &Value) -> String {
    message["ts"].as_str().expect("a message has a ts").to_owned()
}

/// The texts of messages, one a line.
pub fn texts(messages: &[Value]) -> String {
    messages.iter().map(|message| format!("\n  - {}", message["text"].as_str().unwrap_or_default())).collect()
}

/// Every text of a message that Slack reads markup in: its own, and those of its mrkdwn objects.
pub fn marked_up(message: &Value) -> Vec<String> {
    let mut found: Vec<String> = message["text"].as_str().map(str::to_owned).into_iter().collect();
    collect_markup(&message["blocks"], &mut found);
    found
}

fn collect_markup(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if map.get("type").and_then(Value::as_str) == Some("mrkdwn") {
                found.extend(map.get("text").and_then(Value::as_str).map(str::to_owned));
            }
            map.values().for_each(|inside| collect_markup(inside, found));
        }
        Value::Array(list) => list.iter().for_each(|inside| collect_markup(inside, found)),
        _ => {}
    }
}
