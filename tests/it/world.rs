//! The world of the wire tests: the real bot, the strict practice workspace, a clock in the hand.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use vigie::app::practice::{CONFIG, Options, Setup, set_up};
use vigie::clock::Clock;
use vigie::config::Config;
use vigie::incident::id::IncidentId;
use vigie::incident::state::{Incident, replay};
use vigie::incident::time::{Instant, Millis};
use vigie::practice::phones::Delivery;
use vigie::practice::{CommandAck, SubmitOutcome, Workspace};
use vigie::store::Store;

use crate::database::Database;
use crate::nowhere::Log;
use crate::script::START;

/// The channel where incidents are announced.
pub const INCIDENTS: &str = "C0INCIDENTS";

/// Everything, running.
pub struct World {
    pub setup: Setup,
    pub clock: Clock,
    /// Kept for as long as the world stands.
    pub database: Database,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    /// What a bot that died did not acknowledge is no fault of the next one.
    crashed: bool,
}

/// A configuration like the practice workspace's, read where there is none.
pub fn practice_config(text: &str) -> Config {
    let config = vigie::config::parse("vigie.yml", text, &|name| {
        let value = match name {
            "SHOP_URL" | "PHONES_URL" => "http://127.0.0.1:4001",
            "PHONES_ACCOUNT" => "AC00000000000000000000000000000001",
            "PHONES_TOKEN" | "PHONES_SECRET" => "practice-practice",
            "SMTP_PORT" => "4003",
            _ => return None,
        };
        Some(value.to_owned())
    });
    config.unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

/// The practice team's configuration with changes.
fn changed(changes: &[(&str, &str)]) -> String {
    let mut config = CONFIG.to_owned();
    for (from, to) in changes {
        assert!(config.contains(from), "the practice configuration does not say “{from}”");
        config = config.replace(from, to);
    }
    config
}

impl World {
    /// Opens the world and waits until the bot hears.
    pub async fn open() -> Self {
        Self::open_in("en").await
    }

    /// The same in another language.
    pub async fn open_in(locale: &str) -> Self {
        Self::open_with(|options| options.locale = locale.to_owned()).await
    }

    /// The same in a workspace that keeps to Slack's rate tiers.
    pub async fn open_with_limits() -> Self {
        Self::open_with(|options| options.rate_limits = true).await
    }

    /// The same with the practice team's configuration changed: each text is replaced by the other.
    pub async fn open_changed(changes: &[(&str, &str)]) -> Self {
        Self::open_changed_in("en", changes).await
    }

    /// The same in another language.
    pub async fn open_changed_in(locale: &str, changes: &[(&str, &str)]) -> Self {
        let config = changed(changes);
        Self::open_with(|options| {
            options.locale = locale.to_owned();
            options.config = Some(config);
        })
        .await
    }

    /// The same on a database of one kind.
    pub async fn open_changed_on(database: Database, changes: &[(&str, &str)]) -> Self {
        let config = changed(changes);
        Self::open_over(database, |options| options.config = Some(config)).await
    }

    /// The same with another configuration, and with what it leaves open.
    pub async fn open_configured(locale: &str, config: &str, variables: BTreeMap<String, String>) -> Self {
        Self::open_with(|options| {
            options.locale = locale.to_owned();
            options.config = Some(config.to_owned());
            options.variables = variables;
        })
        .await
    }

    /// The same on a database that is there already.
    pub async fn open_on(database: Database) -> Self {
        Self::open_over(database, |_| ()).await
    }

    async fn open_with(arrange: impl FnOnce(&mut Options)) -> Self {
        Self::open_over(Database::fresh().await, arrange).await
    }

    async fn open_over(database: Database, arrange: impl FnOnce(&mut Options)) -> Self {
        keep_a_log();
        let clock = Clock::manual(START);
        let mut options = Options {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            locale: "en".to_owned(),
            clock: clock.clone(),
            rate_limits: false,
            database: Some(database.url.clone()),
            config: None,
            variables: BTreeMap::new(),
        };
        arrange(&mut options);
        let setup = set_up(options).await.unwrap_or_else(|fault| panic!("{fault}"));
        let (stop, running) = start(&setup);
        let world = Self { setup, clock, database, stop, running, crashed: false };
        world.connected().await;
        world
    }

    /// What another process sees of the database; a SQLite file has no others.
    pub async fn beside(&self) -> Option<Store> {
        let store = &self.setup.vigie.store;
        if !store.is_shared() {
            return None;
        }
        Some(Store::open(&self.database.url).await.expect("the database answers"))
    }

    /// Waits until the bot hears.
    pub async fn connected(&self) {
        self.ws().wait_for(|ws| (ws.open_sockets() > 0).then_some(())).await.expect("the bot connects");
    }

    /// Stops the bot in good order and starts a new one on the same database.
    pub async fn restart(&mut self) {
        self.stop.cancel();
        (&mut self.running).await.expect("the bot stops without a panic");
        self.begin_again().await;
    }

    /// Ends the bot as a crash would, in the middle of whatever it does, and starts a new one on the same database.
    /// What it was doing is taken up again when its leases end.
    pub async fn crash(&mut self) {
        self.running.abort();
        let ended = (&mut self.running).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()), "the bot was running");
        // What is left of it can write nothing any more.
        self.setup.vigie.store.close().await;
        self.stop.cancel();
        self.ws().abort_sockets();
        self.crashed = true;
        self.begin_again().await;
    }

    /// Stops the bot in good order, lets time pass without it, and starts a new one on the same database.
    pub async fn sleeps(&mut self, minutes: i64) {
        self.stop.cancel();
        (&mut self.running).await.expect("the bot stops without a panic");
        self.clock.advance(Millis::minutes(minutes));
        self.ws().tick();
        self.begin_again().await;
        self.settle().await;
    }

    async fn begin_again(&mut self) {
        self.setup.restart().await.unwrap_or_else(|fault| panic!("{fault}"));
        (self.stop, self.running) = start(&self.setup);
        self.connected().await;
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

    /// Joins a channel, as anybody may.
    pub async fn joins(&self, who: &str, channel: &str) {
        self.ws().person(who).join(channel).unwrap_or_else(|why| panic!("{why}"));
        self.settle().await;
    }

    /// Types `/incident …` and gives what that person alone is told, as people read it.
    pub async fn asks(&self, who: &str, channel: &str, text: &str) -> String {
        let before = self.told(who).len();
        self.types(who, channel, text).await;
        read_aloud(&self.told(who).split_off(before).join("\n"))
    }

    /// Clicks a button by its action id, text or value.
    pub async fn clicks(&self, who: &str, channel: &str, ts: &str, wanted: &str) {
        let acted = self.ws().person(who).click(channel, ts, wanted).await.unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(acted.failure, None, "click on {wanted}");
        self.settle().await;
    }

    /// Waits until everything that came in is decided and everything that is due is done. Where something waits for a
    /// moment (Slack's limits, another try), the clock is moved to that moment: at most Slack's minute, which we count a
    /// second longer, at a time.
    pub async fn settle(&self) {
        self.rest(Some(Millis::seconds(61))).await;
    }

    /// Waits until nothing is left to do at this moment; the clock stands still.
    pub async fn settle_now(&self) {
        self.rest(None).await;
    }

    async fn rest(&self, jump: Option<Millis>) {
        let store = &self.setup.vigie.store;
        let mut changes = store.changes();
        let quiet = async {
            loop {
                changes.mark_unchanged();
                let now = self.clock.now();
                // What the bot did last may have brought an event; what it heard last is in the store by now.
                let rests = self.hears_nothing() && store.is_at_rest(now).await.expect("the store answers");
                if rests && self.hears_nothing() && !changes.has_changed().expect("the store is open") {
                    let next = store.next_due_of_all().await.expect("the store answers");
                    let again = self.ws().waits_only_until().map(Instant);
                    match next.into_iter().chain(again).min().map(|at| at.since(now)) {
                        Some(soon) if jump.is_some_and(|longest| soon <= longest) => {
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
        let settled = tokio::time::timeout(std::time::Duration::from_secs(240), quiet).await;
        assert!(
            settled.is_ok(),
            "the world did not come to rest at {:?}; envelopes: {}; inputs and effects: {:?}; effects: {:?}",
            self.clock.now(),
            self.ws().envelopes_waiting(),
            store.backlog().await,
            store.waiting().await
        );
    }

    /// Slack has nothing to say at this moment; what it delivers again comes later.
    fn hears_nothing(&self) -> bool {
        let later = self.ws().waits_only_until().is_some_and(|at| at > self.clock.now().0);
        later || self.ws().envelopes_waiting() == 0
    }

    /// Moves the clock and waits until what that brought is done.
    pub async fn pass(&self, minutes: i64) {
        self.setup.vigie.advance(Millis::minutes(minutes)).await.expect("the store answers");
        self.ws().tick();
        self.settle().await;
    }

    /// Moves the clock and waits for nothing.
    pub async fn minutes(&self, minutes: i64) {
        self.setup.vigie.advance(Millis::minutes(minutes)).await.expect("the store answers");
        self.ws().tick();
    }

    /// Moves the clock by so many seconds and does what is due then, and no more.
    pub async fn seconds(&self, seconds: i64) {
        self.setup.vigie.advance(Millis::seconds(seconds)).await.expect("the store answers");
        self.ws().tick();
        self.settle_now().await;
    }

    /// The incident, replayed from its timeline on the way.
    pub async fn incident(&self, number: i64) -> Incident {
        let store = &self.setup.vigie.store;
        let incident =
            store.incident(IncidentId(number)).await.expect("the store answers").expect("the incident exists");
        let mut timeline = store.timeline(incident.id).await.expect("the store answers");
        // It may have gone on between the two looks.
        timeline.retain(|entry| entry.seq <= incident.seq);
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

    /// The message as it reads now.
    pub fn again(&self, channel: &str, message: &Value) -> Value {
        self.ws().message(channel, &ts(message)).expect("the message is still there")
    }

    /// Everything that only this person was told, oldest first: in a channel or at the foot of a command.
    pub fn told(&self, who: &str) -> Vec<String> {
        self.ws().ephemerals(who).iter().map(shown).collect()
    }

    /// The conversation of somebody with the bot. Looking is nothing that Slack tells the bot of; opening one is.
    pub fn dm(&self, who: &str) -> String {
        self.direct(who).unwrap_or_else(|| self.ws().person(who).open_dm(&self.ws().app().bot_user))
    }

    fn direct(&self, who: &str) -> Option<String> {
        let bot = self.ws().app().bot_user;
        let mut direct = self.ws().channels().into_iter().filter(|channel| channel.id.starts_with('D'));
        direct.find(|channel| channel.has(who) && channel.has(&bot)).map(|channel| channel.id)
    }

    /// The dialog on somebody's screen.
    pub fn form(&self, who: &str) -> Value {
        self.ws().top_view(who).unwrap_or_else(|| panic!("no dialog is open for {who}; told: {:?}", self.told(who)))
    }

    /// Fills the open dialog in and sends it off.
    pub async fn submits(&self, who: &str, values: Value) -> SubmitOutcome {
        let id = self.form(who)["id"].as_str().expect("a view has an id").to_owned();
        let outcome = self.ws().person(who).submit(&id, values).await.unwrap_or_else(|why| panic!("{why}"));
        self.settle().await;
        outcome
    }

    /// What arrived on phones and in inboxes, for one address or number.
    pub fn received(&self, to: &str) -> Vec<Delivery> {
        let bare = |number: &str| number.replace([' ', '-'], "");
        self.setup.phones.deliveries().into_iter().filter(|delivery| bare(&delivery.to) == bare(to)).collect()
    }

    /// The timeline as `/incident timeline` shows it to somebody.
    pub async fn timeline(&self, who: &str, number: i64) -> String {
        self.types(who, "C0GENERAL", &format!("timeline --in inc_{number}")).await;
        self.told(who).pop().expect("the timeline is shown")
    }

    /// The direct messages that the bot sent somebody, oldest first.
    pub fn dms(&self, who: &str) -> Vec<Value> {
        self.direct(who).map(|conversation| self.ws().messages(&conversation)).unwrap_or_default()
    }

    /// The messages of a conversation that are this card of this incident, by their metadata.
    pub fn cards(&self, conversation: &str, incident: i64, card: &str) -> Vec<Value> {
        let is_it = |message: &Value| {
            let payload = &message["metadata"]["event_payload"];
            payload["incident"] == format!("inc_{incident}") && payload["card"] == card
        };
        self.ws().messages(conversation).into_iter().filter(is_it).collect()
    }

    /// Demands that an incident is whole: one channel with topic and bookmarks, one pinned card, one announcement,
    /// the people in it, nothing left to do. Gives the channel.
    pub async fn is_whole(&self, number: i64) -> String {
        let incident = self.incident(number).await;
        let start = format!("inc-{number}");
        let named = |name: &str| name == start || name.starts_with(&format!("{start}-"));
        let channels: Vec<_> = self.ws().channels().into_iter().filter(|channel| named(&channel.name)).collect();
        assert_eq!(channels.len(), 1, "one channel: {:?}", channels.iter().map(|c| &c.name).collect::<Vec<_>>());
        let channel = &channels[0];
        assert_eq!(Some(&channel.id), incident.channel.as_ref().map(|channel| &channel.id.0), "it is known");
        assert_eq!(self.cards(&channel.id, number, "incident").len(), 1, "one card in {start}");
        assert_eq!(self.ws().pins(&channel.id).len(), 1, "one pinned card in {start}");
        assert_eq!(self.cards(INCIDENTS, number, "announcement").len(), 1, "one announcement of {start}");
        assert!(channel.topic.value.contains(&incident.severity.label), "topic: “{}”", channel.topic.value);
        assert!(channel.purpose.value.contains(&format!("vigie inc_{number}")), "purpose: “{}”", channel.purpose.value);
        assert!(!channel.bookmarks.is_empty(), "the status page is bookmarked in {start}");
        for person in ["U0ONCALL", "U0COMMS"] {
            assert!(channel.has(person), "{person} is in {start}");
        }
        let waiting = self.setup.vigie.store.waiting().await.expect("the store answers");
        assert!(waiting.is_empty(), "nothing waits: {waiting:?}");
        channel.id.clone()
    }

    /// Stops the bot and demands that Slack had nothing to complain about. Gives the database, which goes away with it.
    pub async fn close(self) -> Database {
        self.settle().await;
        self.stop.cancel();
        self.running.await.expect("the bot stops without a panic");
        crate::payloads::keep(self.setup.workspace());
        let mut violations = self.setup.workspace().violations();
        violations.retain(|violation| !(self.crashed && violation.rule == "late_ack"));
        assert!(violations.is_empty(), "Slack would have refused: {violations:#?}");
        for (from, payload) in payloads(self.setup.workspace()) {
            let raw = raw_words(&payload);
            assert!(raw.is_empty(), "{from} says {raw:?}: {payload:#}");
        }
        self.database
    }
}

/// Every message and view that Slack took from the bot, with the method it came by.
fn payloads(ws: &Workspace) -> Vec<(String, Value)> {
    let calls = ws.calls().into_iter().filter(|call| call.is_ok());
    let seen = calls.filter(|call| ["text", "blocks", "view"].iter().any(|field| call.args.get(field).is_some()));
    seen.map(|call| (call.method, call.args)).collect()
}

/// What must never reach a person: a label's key instead of its words, or a template's own marks.
pub fn raw_words(payload: &Value) -> Vec<String> {
    let raw = regex::Regex::new(
        r"\{\{|\}\}|\b(refusal|reply|usage|fault|fact|view|button|verdict|confirm|help|home|notice|run|step|look|undone|reason|receipt|provider|trouble|words|kubernetes|[a-z]+_fault)\.[a-z_]+",
    )
    .expect("the pattern is sound");
    let mut texts = Vec::new();
    collect_texts(payload, &mut texts);
    texts.into_iter().filter(|text| raw.is_match(text)).collect()
}

/// Everything in a message or view that a person reads.
fn collect_texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inside) in map {
                match inside {
                    Value::String(text) if ["text", "alt_text", "initial_value"].contains(&key.as_str()) => {
                        found.push(text.clone());
                    }
                    _ => collect_texts(inside, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|inside| collect_texts(inside, found)),
        _ => {}
    }
}

/// Everything that a message or view says, one text a line.
pub fn shown(message: &Value) -> String {
    let mut texts = Vec::new();
    collect_texts(message, &mut texts);
    texts.join("\n")
}

/// Slack's escapes undone, and spaces that do not break as plain ones.
pub fn read_aloud(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace('\u{a0}', " ")
}

/// What the bot logs stands in the output of a test that fails.
pub fn keep_a_log() {
    let wanted = std::env::var_os("VIGIE_TEST_LOG").and_then(|wanted| wanted.into_string().ok());
    let log = tracing_subscriber::fmt().with_writer(|| Log).with_ansi(false);
    // Another world of the same test may have begun it.
    let _ = log.with_env_filter(wanted.as_deref().unwrap_or("info,vigie=debug")).try_init();
}

/// Starts a bot that is put together.
fn start(setup: &Setup) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let (vigie, token) = (setup.vigie.clone(), stop.clone());
    (stop, tokio::spawn(async move { vigie.run(token).await }))
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
