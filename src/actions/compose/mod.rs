//! Docker Compose (C1): a service goes back to the image before, is stopped, is started again.
//!
//! What this provider may not do: pull or build an image (the old Compose cannot be told not to pull one), touch another service, change anything in a file but the one
//! value that names the image, or show another value of it. The engine is asked by its own program, Compose does the rest.

mod back;
mod engine;
mod place;
mod power;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use self::engine::Engine;
use super::World;
use super::api::is_plain;
use super::command::validate_argv;
use super::config::{ConfigFault, fault};
use super::length;
use super::provider::{ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured};
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// A change to one service of a Compose project: exactly one of back, stop and start.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The project's name: its containers are found by it.
    pub project: String,
    /// The service.
    pub service: String,
    /// The folder that Compose runs in.
    pub folder: PathBuf,
    /// The Compose files in it; those that Compose finds by itself when it is not said.
    #[serde(default)]
    pub files: Vec<String>,
    /// Takes the service to the image before, or to another one.
    pub back: Option<Back>,
    /// Stops it.
    pub stop: Option<Stop>,
    /// Starts it again.
    pub start: Option<Start>,
    /// How long its containers may take until they are healthy: 60 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub healthy_within: Option<Millis>,
    /// How long a container without a health check must stay up until it counts as healthy: 5 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub steady: Option<Millis>,
    /// Where the engine listens, for example `unix:///var/run/docker.sock`; where Docker looks by itself when it is not said.
    pub host: Option<String>,
    /// The Docker program.
    #[serde(default = "docker")]
    pub docker: String,
    /// The Compose program: `[docker, compose]`, or `[docker-compose]` of old.
    #[serde(default = "docker_compose")]
    pub compose: Vec<String>,
    /// What it can do to the world; reversible when it is not said.
    pub risk: Option<Risk>,
}

fn docker() -> String {
    "docker".to_owned()
}

fn docker_compose() -> Vec<String> {
    vec!["docker".to_owned(), "compose".to_owned()]
}

/// Where the image's tag is written, and which one is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Back {
    /// The environment file that Compose reads, with its whole path; together with `variable`.
    pub env_file: Option<PathBuf>,
    /// The variable in it that the service's `image` is made of.
    pub variable: Option<String>,
    /// Else a Compose file that only Vigie writes, with its whole path; it names the image.
    pub r#override: Option<PathBuf>,
    /// A log of deployments, whose lines end with a tag each, the newest last; the engine's own images when it is not said.
    pub history: Option<PathBuf>,
    /// Always this tag; the one before when it is not said.
    pub to: Option<String>,
}

/// How it is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// How long its programs may take to end by themselves: 20 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub grace: Option<Millis>,
}

/// Nothing needs to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {}

#[async_trait]
impl ActionProvider for Compose {
    fn target(&self) -> Cow<'_, str> {
        format!("{} ({})", self.service, self.project).into()
    }

    /// Whatever is done to a service, nobody else does anything to it meanwhile.
    fn locks(&self) -> Vec<String> {
        let host = self.host.as_deref().unwrap_or("local");
        vec![format!("compose/{host}/{}/{}", self.project, self.service)]
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Reversible)
    }

    fn usually_within(&self) -> Millis {
        Millis(180_000 + self.healthy_within().0)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        Vec::new()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let chosen = [self.back.is_some(), self.stop.is_some(), self.start.is_some()];
        if chosen.iter().filter(|chosen| **chosen).count() != 1 {
            faults.push(fault(path, "say what is done in exactly one way: back, stop or start"));
        }
        for (name, text) in [("project", &self.project), ("service", &self.service)] {
            if !is_plain(text) {
                faults.push(fault(format!("{path}.{name}"), "write its name, for example shop"));
            }
        }
        if self.folder.is_relative() {
            faults.push(fault(format!("{path}.folder"), "write the whole path, beginning with /"));
        }
        if self.docker.trim().is_empty() {
            faults.push(fault(format!("{path}.docker"), "name the program, for example docker"));
        }
        validate_argv(&self.compose, &[], &format!("{path}.compose"), faults);
        if let Some(back) = &self.back {
            back.validate(self, &format!("{path}.back"), faults);
        }
    }

    fn choosing(&self) -> Choosing {
        if self.back.as_ref().is_some_and(|back| back.to.is_none()) { Choosing::May } else { Choosing::Nothing }
    }

    fn takes_up(&self) -> bool {
        self.start.is_some()
    }

    fn brings_back(&self, earlier: &PlannedStep) -> bool {
        self.start.is_some() && power::stops(earlier)
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        match &self.back {
            Some(back) => back::choices(self, back, &self.engine(cx.world, planning(cx))).await,
            None => Ok(Vec::new()),
        }
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let engine = self.engine(cx.world, planning(cx));
        match &self.back {
            Some(back) => back::plan(self, back, &engine, back.to.as_deref().or(cx.wanted), false).await,
            None => power::plan(self, &engine, self.start.is_some(), false, cx.earlier).await,
        }
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let engine = self.engine(cx.world, planning(cx));
        match &self.back {
            Some(back) => back::plan_back(self, back, &engine, done).await,
            None => power::plan(self, &engine, self.stop.is_some(), true, &[]).await,
        }
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let engine = self.engine(cx.world, cx.within);
        match &self.back {
            _ if step.locks != self.locks() => StepResult::stale(reconfigured()),
            Some(back) => back::execute(self, back, &engine, step, cx).await,
            None => power::execute(self, &engine, step, cx).await,
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let engine = self.engine(cx.world, cx.within);
        match &self.back {
            _ if step.locks != self.locks() => Happened::CannotTell { why: reconfigured() },
            Some(back) => back::check(self, back, &engine, step).await,
            None => power::check(self, &engine, step).await,
        }
    }
}

/// Not all of the time: an engine that does not answer is to be named, and not only the planning.
fn planning(cx: &PlanContext<'_>) -> Duration {
    cx.within * 3 / 4
}

impl Compose {
    fn engine<'a>(&'a self, world: &'a World, within: Duration) -> Engine<'a> {
        Engine::new(self, world, within)
    }

    fn healthy_within(&self) -> Millis {
        self.healthy_within.unwrap_or(Millis::seconds(60))
    }

    fn steady(&self) -> Duration {
        length::duration(self.steady.unwrap_or(Millis::seconds(5)))
    }

    /// A sentence about the service.
    fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("service", self.service.as_str())
    }

    fn refused(&self, why: Words) -> PlanFault {
        PlanFault::Refused { target: self.target().into_owned(), why }
    }

    fn unreadable(&self, why: Words) -> PlanFault {
        PlanFault::Unreadable { target: self.target().into_owned(), why }
    }

    /// A planned step in which only what differs between operations is left open.
    fn step(&self, title: Words, from: String, to: String, diff: Vec<Words>, spec: serde_json::Value) -> PlannedStep {
        PlannedStep {
            title,
            target: self.target().into_owned(),
            locks: self.locks(),
            from: Some(from),
            to,
            diff,
            needs: Vec::new(),
            risk: self.risk(),
            provider: String::new(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            spec,
        }
    }
}

impl Back {
    fn validate(&self, compose: &Compose, path: &str, faults: &mut Vec<ConfigFault>) {
        let is_variable = self.env_file.is_some() && self.variable.is_some() && self.r#override.is_none();
        let is_override = self.r#override.is_some() && self.env_file.is_none() && self.variable.is_none();
        if is_variable == is_override {
            let sentence = "say where the tag is written in exactly one way: env_file with variable, or override";
            faults.push(fault(path, sentence));
        }
        if is_override && compose.files.is_empty() {
            let sentence = "name the project's own files in files, because an override stands behind them";
            faults.push(fault(format!("{path}.override"), sentence));
        }
        let places = [("env_file", &self.env_file), ("override", &self.r#override), ("history", &self.history)];
        for (name, _) in places.iter().filter(|(_, place)| place.as_ref().is_some_and(|place| place.is_relative())) {
            faults.push(fault(format!("{path}.{name}"), "write the whole path, beginning with /"));
        }
        if self.to.as_deref().is_some_and(|to| !is_tag(to)) {
            faults.push(fault(format!("{path}.to"), "this is no tag; write only what stands behind the colon"));
        }
    }
}

/// What can stand behind the colon of an image's name.
fn is_tag(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=128).contains(&text.len()) && text.chars().all(is_fit) && !text.starts_with(['.', '-'])
}
