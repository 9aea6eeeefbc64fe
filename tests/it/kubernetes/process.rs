//! The same team with a real process as its bot, which can be killed, frozen and listened to.

use std::time::Duration;

use serde_json::Value;
use vigie::incident::id::IncidentId;
use vigie::incident::state::{Phase, Run};

use super::plane::Namespace;
use super::team::Setting;
use crate::bot::Bot;
use crate::database::Database;
use crate::faults::town::Town;
use crate::faults::until;

/// Nothing that is waited for takes longer, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Outside {
    pub town: Town,
    _database: Option<Database>,
}

impl Outside {
    /// With a database of its own; no bot runs yet.
    pub async fn open(space: &Namespace, setting: &Setting<'_>) -> Self {
        let database = Database::fresh().await;
        let outside = Self::open_on(&database.url, space, setting).await;
        Self { _database: Some(database), ..outside }
    }

    /// On a database that somebody else looks after.
    pub async fn open_on(url: &str, space: &Namespace, setting: &Setting<'_>) -> Self {
        Self { town: Town::open_as(url, &setting.configuration(space)).await, _database: None }
    }

    /// With a bot in the middle of a slow roll-back of four pods, which it was allowed and has written.
    pub async fn in_mid_roll_out(space: &Namespace, setting: &Setting<'_>) -> (Self, Bot) {
        space.grant(&setting.roles(space)).await;
        space.deployed("web", &["example/web:1-slow", "example/web:2"], 4).await;
        let outside = Self::open(space, setting).await;
        let bot = outside.town.start().await;
        outside.approves(1, "undo-web").await;
        let changed = async || (space.image("web").await == "example/web:1-slow").then_some(());
        until("the change", PATIENCE, changed).await;
        // Before the controller has seen the change, the status still tells of the last roll-out.
        let is_seen = |web: &Value| web["status"]["observedGeneration"] == web["metadata"]["generation"];
        space.once("deployment/web", is_seen).await;
        (outside, bot)
    }

    /// With a configuration of one's own.
    pub async fn saying(config: &str) -> Self {
        let database = Database::fresh().await;
        Self { town: Town::open_as(&database.url, config).await, _database: Some(database) }
    }

    /// A bot begun by another program, which is given the words after it.
    pub async fn begun_by(&self, words: &[&str]) -> Bot {
        let mut bot = Bot::begin(self.town.command_by(words, "127.0.0.1:0"));
        bot.listens().await;
        bot
    }

    /// A bot that says all it can say.
    pub async fn talkative(&self) -> Bot {
        let mut bot = Bot::begin(self.town.command_by(&["env", "RUST_LOG=debug"], "127.0.0.1:0"));
        bot.listens().await;
        bot
    }

    async fn says(&self, who: &str, line: &str) {
        let ack = self.town.ws().person(who).command("C0GENERAL", "/incident", line).await;
        assert_eq!(ack.failure, None, "/incident {line}");
    }

    /// The run of an incident, if there is one.
    pub async fn run(&self, incident: i64) -> Option<Run> {
        let incident = self.town.store.incident(IncidentId(incident)).await.ok().flatten()?;
        incident.runs.into_values().next()
    }

    /// Waits until the bot hears.
    pub async fn hears(&self) {
        let heard = async || (self.town.ws().open_sockets() > 0).then_some(());
        until("the bot hears", PATIENCE, heard).await;
    }

    /// Declares an incident, which gets this number, and asks for a plan.
    pub async fn asks(&self, incident: i64, action: &str) {
        self.hears().await;
        self.says("U0ONCALL", &format!("start sev2 the web fails ({incident})")).await;
        let declared = async || self.town.store.incident(IncidentId(incident)).await.ok().flatten();
        until("the incident", PATIENCE, declared).await;
        self.says("U0ONCALL", &format!("run --in inc_{incident} {action}")).await;
    }

    /// The same, and waits for the plan.
    pub async fn planned(&self, incident: i64, action: &str) {
        self.asks(incident, action).await;
        let pending = async || self.run(incident).await.filter(|run| run.phase == Phase::Pending);
        until("the plan", PATIENCE, pending).await;
        let approve = format!("approve run_{incident}_1");
        let shown =
            async || self.town.ws().calls().iter().any(|call| call.args.to_string().contains(&approve)).then_some(());
        until("the plan on a card", PATIENCE, shown).await;
    }

    /// Approves the plan.
    pub async fn allowed(&self, incident: i64) {
        self.says("U0LEAD", &format!("approve run_{incident}_1")).await;
    }

    /// All of it: declared, planned and approved.
    pub async fn approves(&self, incident: i64, action: &str) {
        self.planned(incident, action).await;
        self.allowed(incident).await;
    }

    /// The run of an incident once it has ended.
    pub async fn ended(&self, incident: i64) -> Run {
        let ended = async || self.run(incident).await.filter(|run| matches!(run.phase, Phase::Finished { .. }));
        until("the end of the run", PATIENCE, ended).await
    }
}
