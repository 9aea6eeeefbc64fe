//! A practice workspace with Vigie's doors in front of a real store, and an engine small enough to step by hand.

use std::sync::Arc;
use std::time::Duration;

use vigie::clock::Clock;
use vigie::incident::decision::{Context, Effect, Input, Lane, ReplyTo, Report, decide};
use vigie::incident::id::{IncidentId, MessageRef};
use vigie::incident::people::Way;
use vigie::incident::rules::Rules;
use vigie::incident::state::Incident;
use vigie::incident::time::Millis;
use vigie::incident::timeline::Card;
use vigie::practice::{Delivery, NewChannel, NewPerson, Person, Practice, PracticeOptions, Workspace};
use vigie::render::Renderer;
use vigie::slack::scene::Scene;
use vigie::slack::{Health, Inbound, Patience, Slack, SlackConfig, SlackFault, SocketDoor};
use vigie::store::{Place, Question, Store};

use crate::database::Database;
use crate::script::{START, rules};

/// Everything a test needs; dropped as a whole.
pub struct World {
    pub practice: Practice,
    pub clock: Clock,
    pub store: Store,
    pub rules: Arc<Rules>,
    pub render: Arc<Renderer>,
    pub slack: Slack,
    pub inbound: Inbound,
    pub health: Health,
    pub stop: tokio_util::sync::CancellationToken,
    _database: Database,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Short enough for a test to wait for.
pub fn patience() -> Patience {
    Patience {
        ping_every: Duration::from_millis(100),
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(200),
        disabled_pause: Duration::from_millis(200),
        ..Patience::default()
    }
}

impl World {
    /// A workspace that nobody has connected to yet.
    pub async fn quiet() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    /// A workspace with the socket door open.
    pub async fn open() -> Self {
        let world = Self::quiet().await;
        world.connect().await;
        world
    }

    pub async fn with(arrange: impl FnOnce(&mut PracticeOptions), rule: impl FnOnce(&mut Rules)) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let clock = Clock::manual(START);
        let hands = clock.clone();
        let mut options = PracticeOptions::new(vigie::app::practice::MANIFEST, Arc::new(move || hands.now().0));
        options.rate_limits = true;
        options.people = ["oncall", "lead", "cto", "comms", "security"]
            .into_iter()
            .map(|key| NewPerson::new(&format!("U0{}", key.to_uppercase()), key, &format!("{key} Example")))
            .collect();
        options.channels = vec![channel("C0OPS", "ops", true), channel("C0INC", "incidents", false)];
        arrange(&mut options);
        let practice = Practice::start(options).await.unwrap();
        let mut rules = rules();
        rule(&mut rules);
        let rules = Arc::new(rules);
        let database = Database::fresh().await;
        let store = Store::open(&database.url).await.unwrap();
        let render = Arc::new(Renderer::load(None).unwrap());
        let config = SlackConfig {
            bot_token: practice.bot_token().into(),
            app_token: Some(practice.app_token().into()),
            signing_secret: Some(practice.signing_secret().into()),
            api_url: practice.api_url().to_owned(),
        };
        let slack = Slack::new(&config, clock.clone()).unwrap();
        slack.check_tokens().await.unwrap();
        let inbound =
            Inbound::new(store.clone(), clock.clone(), Arc::clone(&rules), Arc::clone(&render), slack.clone());
        Self {
            practice,
            clock,
            store,
            rules,
            render,
            slack,
            inbound,
            health: Health::default(),
            stop: tokio_util::sync::CancellationToken::new(),
            _database: database,
        }
    }

    /// Opens the socket door.
    pub async fn connect(&self) {
        let door = SocketDoor::new(self.inbound.clone(), self.health.clone(), patience());
        tokio::spawn(door.run(self.stop.clone()));
        self.until(|ws| ws.open_sockets() == 2).await;
    }

    /// Opens the HTTP door and has Slack deliver there. Gives its address.
    pub async fn listen(&self) -> String {
        let secret = self.practice.signing_secret().into();
        let routes = vigie::slack::http::routes(self.inbound.clone(), secret, self.health.clone());
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", tcp.local_addr().unwrap());
        let stop = self.stop.clone();
        tokio::spawn(async move {
            axum::serve(tcp, routes).with_graceful_shutdown(stop.cancelled_owned()).await.unwrap();
        });
        self.ws().set_delivery(Delivery::Http { base_url: base_url.clone() }).expect("a loopback address");
        base_url
    }

    pub fn ws(&self) -> &Workspace {
        self.practice.workspace()
    }

    pub fn person(&self, key: &str) -> Person {
        self.ws().person(&format!("U0{}", key.to_uppercase()))
    }

    /// Waits until the workspace looks like this.
    pub async fn until(&self, probe: impl Fn(&Workspace) -> bool) {
        self.ws().wait_for(|ws| probe(ws).then_some(())).await.unwrap();
    }

    /// Waits until the inbox has decided something that makes the incident look like this.
    pub async fn until_incident(&self, probe: impl Fn(&Incident) -> bool) -> Incident {
        let mut changes = self.store.changes();
        loop {
            changes.mark_unchanged();
            self.settle().await;
            if let Some(incident) = self.store.incident(IncidentId(1)).await.unwrap()
                && probe(&incident)
            {
                return incident;
            }
            if tokio::time::timeout(Duration::from_secs(10), changes.changed()).await.is_err() {
                break;
            }
        }
        panic!("the incident never looked like that: {:#?}", self.store.incident(IncidentId(1)).await.unwrap());
    }

    /// Somebody types a command in #ops; everything that follows is done.
    pub async fn say(&self, key: &str, line: &str) -> Option<String> {
        self.say_in("ops", key, line).await
    }

    pub async fn say_in(&self, channel: &str, key: &str, line: &str) -> Option<String> {
        let ack = self.person(key).command(channel, "/incident", line).await;
        assert_eq!(ack.failure, None, "{line}");
        self.settle().await;
        ack.text().map(str::to_owned)
    }

    /// Declares an incident and does what follows. Gives it as it stands then.
    pub async fn declare(&self) -> Incident {
        self.say("lead", "start sev2 checkout returns 500").await;
        self.incident().await
    }

    pub async fn incident(&self) -> Incident {
        self.store.incident(IncidentId(1)).await.unwrap().unwrap()
    }

    /// Decides what waits and carries out what follows, until nothing is left.
    pub async fn settle(&self) {
        for _ in 0..400 {
            let decided = self.decide_all().await;
            let done = self.carry_out_all().await;
            if !decided && !done {
                return;
            }
        }
        panic!("there is always something left to do");
    }

    pub async fn decide_all(&self) -> bool {
        let mut any = false;
        let now = self.clock.now();
        let rules = Arc::clone(&self.rules);
        loop {
            let rules = Arc::clone(&rules);
            let answer = move |question: Question<'_>| {
                let by = question.input.by();
                let reply = match question.input {
                    Input::Command { reply, .. } => reply.clone(),
                    Input::Chat(vigie::incident::decision::ChatEvent::Shortcut { reply, .. }) => reply.clone(),
                    _ => ReplyTo::Nobody,
                };
                let context = Context {
                    rules: &rules,
                    now,
                    by: &by,
                    channel: None,
                    reply: &reply,
                    fresh: question.fresh,
                    member_of: None,
                };
                decide(context, question.incident, question.input)
            };
            if self.store.take_next(move || now, answer).await.unwrap().is_empty() {
                return any;
            }
            any = true;
        }
    }

    async fn carry_out_all(&self) -> bool {
        let mut any = false;
        for lane in Lane::ALL {
            let lease = Millis::minutes(1);
            for claimed in self.store.claim(lane, self.clock.now(), lease, 20).await.unwrap() {
                any = true;
                match self.carry_out(claimed.incident, &claimed.effect, claimed.attempts).await {
                    Ok(reports) => {
                        self.store.done(&claimed, reports, self.clock.now()).await.unwrap();
                    }
                    Err(SlackFault::Retry { after, .. }) => {
                        let wait = after.map_or(0, |after| i64::try_from(after.as_millis()).unwrap());
                        self.clock.advance(Millis(wait));
                        self.store.postpone(&claimed, self.clock.now(), Place::Kept, "later").await.unwrap();
                    }
                    Err(SlackFault::Unknown { .. }) => {
                        self.store.postpone(&claimed, self.clock.now(), Place::Kept, "unknown").await.unwrap();
                    }
                    Err(fault @ SlackFault::Permanent { .. }) => {
                        let (code, why) = (fault.code().to_owned(), fault.words());
                        let report = Report::ChatFailed { effect: Box::new(claimed.effect.clone()), code, why };
                        self.store.done(&claimed, vec![report], self.clock.now()).await.unwrap();
                    }
                }
            }
        }
        any
    }

    /// Does one effect as the engine would.
    pub async fn carry_out(
        &self,
        incident: Option<IncidentId>,
        effect: &Effect,
        attempt: u32,
    ) -> Result<Vec<Report>, SlackFault> {
        let (incident, timeline) = match incident {
            Some(id) => (self.store.incident(id).await.unwrap(), self.store.timeline(id).await.unwrap()),
            None => (None, Vec::new()),
        };
        let open = self.store.open_incidents().await.unwrap();
        let scene = Scene {
            rules: &self.rules,
            render: &self.render,
            now: self.clock.now(),
            incident: incident.as_ref(),
            timeline: &timeline,
            open: &open,
            progress: None,
            kept: None,
            workspace: None,
        };
        match effect {
            Effect::Page { page, contact, way: Way::Slack } => {
                let message = self.slack.page_by_slack(&scene, *page, contact, attempt).await?;
                let posted = Report::CardPosted { card: Card::Page(*page), message };
                Ok(vec![posted, Report::PageDelivered { page: *page, note: None }])
            }
            Effect::Page { page, .. } => Ok(vec![Report::PageDelivered { page: *page, note: None }]),
            chat if chat.lane() == Lane::Chat => self.slack.carry_out(&scene, chat, attempt).await,
            _ => Ok(Vec::new()),
        }
    }

    /// A card's message as the workspace has it.
    pub fn message(&self, at: &MessageRef) -> serde_json::Value {
        self.ws().message(&at.channel.0, &at.ts).unwrap()
    }

    /// How often a card stands in a channel, by its metadata.
    pub fn copies(&self, channel: &str, card: &str) -> usize {
        let messages = self.ws().messages(channel);
        messages.iter().filter(|message| message["metadata"]["event_payload"]["card"] == card).count()
    }

    /// Nothing that Slack would have refused, ignored or punished.
    pub fn assert_no_violations(&self) {
        assert_eq!(self.ws().violations(), []);
    }
}

fn channel(id: &str, name: &str, with_bot: bool) -> NewChannel {
    let members = ["U0ONCALL", "U0LEAD", "U0CTO", "U0COMMS", "U0SECURITY"];
    NewChannel {
        id: id.into(),
        name: name.into(),
        is_private: false,
        members: members.into_iter().map(str::to_owned).collect(),
        with_bot,
    }
}
