//! What every provider can do, and the table of those there are.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use super::World;
use super::command::CommandStep;
use super::compose::Compose;
use super::config::{ConfigFault, fault};
use super::ecs::Ecs;
use super::env_file::EnvFile;
use super::git::Git;
use super::github::GithubWorkflow;
use super::http_call::HttpCall;
use super::http_switch::HttpSwitch;
use super::keep::State;
use super::kubernetes::Kubernetes;
use super::length;
use super::migration::Migration;
use super::netlify::Netlify;
use super::postgres::Postgres;
use super::template::{Filling, placeholders, unknown};
use super::vercel::Vercel;
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::id::RunId;
use crate::incident::run::too_risky;
use crate::incident::time::{Instant, Millis};
use crate::incident::words::Words;

/// One configured step of one kind of system.
#[async_trait]
pub trait ActionProvider: fmt::Debug + Send + Sync {
    /// What it changes, named so that nothing else can be meant.
    fn target(&self) -> Cow<'_, str>;

    /// What nobody else may change meanwhile, as far as that is known without a look; its target when nothing is named.
    fn locks(&self) -> Vec<String> {
        Vec::new()
    }

    /// The worst it can do to the world.
    fn risk(&self) -> Risk;

    /// How long it may take when the step does not say.
    fn usually_within(&self) -> Millis;

    /// Adds every fault of its configuration.
    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>);

    /// Its credentials, for the redactor.
    fn secrets(&self) -> Vec<&SecretString>;

    /// Whether a person may or must say where it goes ([`PlanContext::wanted`]).
    fn choosing(&self) -> Choosing {
        Choosing::Nothing
    }

    /// It writes a copy of data or secrets to where they were not before. That changes nothing, and yet nobody has it done
    /// without a person's yes (P6).
    fn copies_data(&self) -> bool {
        false
    }

    /// It puts other data in the place of what people write to; what they write meanwhile is lost.
    fn replaces_data(&self) -> bool {
        false
    }

    /// It can take up what an earlier step of the same plan leaves ([`PlanContext::earlier`]), so it is planned after
    /// those before it.
    fn takes_up(&self) -> bool {
        false
    }

    /// What it takes up of this earlier step it brings back to where that was before, as a worker that was stopped runs again:
    /// whoever takes the plan back leaves both as they are. One that waits, restarts or goes on somewhere else does not.
    fn brings_back(&self, _earlier: &PlannedStep) -> bool {
        false
    }

    /// Where it can go, for a person to choose; each value can mean only one thing. Only reads.
    ///
    /// # Errors
    /// [`PlanFault`]: it cannot be read.
    async fn choices(&self, _cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        Ok(Vec::new())
    }

    /// Says in absolute terms what would be done. Only reads; refuses what cannot work.
    ///
    /// # Errors
    /// [`PlanFault`]: there is nothing to go back to, it is already there, it cannot be read.
    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault>;

    /// The step that takes this one back, planned against the world as it is now (P7). Only reads.
    ///
    /// # Errors
    /// [`PlanFault`]: it is back already, or there is no way back, which is what everybody says who does not know one.
    async fn plan_back(&self, _done: &PlannedStep, _cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        Err(PlanFault::NothingToGoBackTo(Words::new("step.no_way_back")))
    }

    /// Does what was planned. Looks first: already there is done, moved since the plan is stale, begun by this very
    /// run is taken up.
    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult;

    /// Looks whether the step happened, after a lost answer or a crash. Only reads.
    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened;

    /// Where it can keep the state of things before anything is changed (K15). Steps in one place are kept together.
    fn keeps_state_of(&self) -> Option<String> {
        None
    }

    /// Keeps the state of that place, for these steps of a plan. Only reads.
    async fn keep_state(&self, _steps: &[&PlannedStep], _cx: &PlanContext<'_>) -> State {
        State::default()
    }

    /// Takes away what a step that is done left lying. Only called once its end is committed: what it would look at after a
    /// crash must be there until then. May be lost.
    async fn tidy(&self, _cx: &StepContext<'_>) {}
}

/// What a provider may use while planning.
#[derive(Debug)]
pub struct PlanContext<'a> {
    /// The way out.
    pub world: &'a World,
    /// How long one request or program may take.
    pub within: Duration,
    /// What was chosen, in the words of [`Choice::value`] or of a person; only for a step that leaves a choice.
    pub wanted: Option<&'a str>,
    /// The steps before it, for one that can take up what they leave; nothing for all others.
    pub earlier: &'a [PlannedStep],
    /// What the step that is taken back was known by ([`StepContext::idempotency_key`]); nothing for all others.
    pub done_by: Option<&'a str>,
}

/// What a provider may use while executing and checking.
pub struct StepContext<'a> {
    /// The way out.
    pub world: &'a World,
    /// The run it belongs to.
    pub run: RunId,
    /// When the run was asked for.
    pub asked_at: Instant,
    /// The step, from 0.
    pub step: usize,
    /// Grows with every execution of anything; a system that knows fences may refuse an older one.
    pub fence: i64,
    /// The fence that this attempt at the run began with ([`StepContext::attempt_key`]).
    pub attempt: i64,
    /// A look has found that this very run had begun it: what it does is taken up, and nothing is begun a second time.
    pub begun: bool,
    /// How long the step may take altogether.
    pub within: Duration,
    /// Told how it goes; of what is told at once only the newest is shown, and some may be lost.
    pub progress: &'a (dyn Fn(Words) + Send + Sync),
    /// Knows what others still need.
    pub in_use: &'a dyn InUse,
}

/// What must not be taken away, because something that is planned will use it.
#[async_trait]
pub trait InUse: Send + Sync {
    /// Every text in the facts of the other steps of this plan, and of the plans of other runs that may still be carried
    /// out.
    ///
    /// # Errors
    /// Why nobody knows.
    async fn beside(&self, step: usize) -> Result<BTreeSet<String>, Words>;
}

impl StepContext<'_> {
    /// The same for every attempt at this step of this run and for nothing else: `run_7_1-step-1-19abe3f20c0`. Runs are
    /// counted in each database from one, so the moment (milliseconds in hexadecimal) tells those of a new or restored
    /// database from those that left their marks in the world before.
    pub fn idempotency_key(&self) -> String {
        idempotency_key(self.run, self.asked_at, self.step)
    }

    /// The same however often the owner of one attempt is lost, and another one when a person has the run tried again. It
    /// begins with [`StepContext::idempotency_key`] and a hyphen.
    pub(super) fn attempt_key(&self) -> String {
        format!("{}-{}", self.idempotency_key(), self.attempt)
    }
}

/// What a step, from 0, of a run is known by wherever it leaves its name.
pub(super) fn idempotency_key(run: RunId, asked_at: Instant, step: usize) -> String {
    format!("{run}-step-{}-{:x}", step + 1, asked_at.0)
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum StepResult {
    /// It is as planned now.
    Done {
        /// What was done.
        note: Words,
        /// The last lines of its output.
        output: Option<String>,
        /// The state that was seen in the end, where it is more exact than what was planned.
        live: Option<String>,
    },
    /// The world, or the configuration, moved since the plan was made; nothing was done.
    Stale {
        /// What was found instead.
        found: Words,
    },
    /// It did not work; what was asked for is certainly not the case because of this step.
    Failed {
        /// Why.
        why: Words,
        /// The last lines of its output.
        output: Option<String>,
    },
    /// It may have happened or not; a look ([`ActionProvider::check`]) must tell.
    Unknown {
        /// What is known.
        why: Words,
        /// The last lines of its output.
        output: Option<String>,
    },
}

impl StepResult {
    pub(super) fn done(note: Words) -> Self {
        StepResult::Done { note, output: None, live: None }
    }

    pub(super) fn stale(found: Words) -> Self {
        StepResult::Stale { found }
    }

    pub(super) fn failed(why: Words) -> Self {
        StepResult::Failed { why, output: None }
    }

    pub(super) fn unknown(why: Words) -> Self {
        StepResult::Unknown { why, output: None }
    }

    /// It failed, and nothing was changed by it.
    pub(super) fn unchanged(why: Words) -> Self {
        StepResult::failed(unchanged(why))
    }

    /// The same where a request before may have been carried out although its answer was lost.
    pub(super) fn after(self, may_have_happened: bool) -> Self {
        if may_have_happened { self.taken_up() } else { self }
    }

    /// What it means for a step that had begun before: something was done already, so that nothing was is never believed
    /// without another look.
    pub(super) fn taken_up(self) -> Self {
        match self {
            StepResult::Stale { found } => StepResult::unknown(found),
            StepResult::Failed { why, output } => match unchanged_because(&why) {
                Some(reason) => StepResult::Unknown { why: reason, output },
                None => StepResult::Failed { why, output },
            },
            other => other,
        }
    }
}

/// Why it failed before anything was done.
pub(super) fn unchanged(why: Words) -> Words {
    Words::new("step.unchanged").with("why", why)
}

/// What went wrong according to a sentence that says that nothing was changed.
pub(super) fn unchanged_because(why: &Words) -> Option<Words> {
    match why.key.as_str() {
        "step.unchanged" => why.vars.get("why").and_then(|inner| serde_json::from_value(inner.clone()).ok()),
        "step.unread_before" => Some(Words { key: "step.unread".to_owned(), vars: why.vars.clone() }),
        _ => None,
    }
}

/// The longest state and title that is shown, in characters.
pub(super) const MOST_SHOWN: usize = 200;

/// The longest line of a change that is shown, in characters.
const MOST_LINE: usize = 1_000;

/// What was found where the configuration of a step is not the approved one any more.
pub(super) fn reconfigured() -> Words {
    Words::new("step.reconfigured")
}

/// The approved facts as the provider wrote them down.
pub(super) fn spec_of<T: serde::de::DeserializeOwned>(step: &PlannedStep) -> Result<T, Words> {
    serde_json::from_value(step.spec.clone())
        .map_err(|error| Words::new("step.unreadable_plan").with("why", error.to_string()))
}

/// Whether a step happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// It did.
    Yes {
        /// What was seen.
        note: Words,
        /// The state that was seen, where it is more exact than what was planned.
        live: Option<String>,
    },
    /// It did not.
    No {
        /// What was seen.
        note: Words,
    },
    /// It was begun by this very run and is not over; executing it again takes it up and begins nothing twice.
    Begun {
        /// What was seen.
        note: Words,
    },
    /// Nobody but a person can say.
    CannotTell {
        /// Why.
        why: Words,
    },
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words())]
pub enum PlanFault {
    /// No such action.
    UnknownAction(String),
    /// There is no earlier state, for this reason.
    NothingToGoBackTo(Words),
    /// It would change nothing.
    AlreadyThere {
        /// What would be changed.
        target: String,
        /// The state it has already.
        to: String,
    },
    /// The system could not be read.
    Unreadable {
        /// What was to be read.
        target: String,
        /// Why it could not be.
        why: Words,
    },
    /// The system itself says that it cannot be done.
    Refused {
        /// What would be changed.
        target: String,
        /// What it said.
        why: Words,
    },
    /// The plan would do more than the configuration allows.
    TooRisky {
        /// The step.
        title: Words,
        /// What it could do.
        found: Risk,
        /// What it may do.
        allowed: Risk,
    },
    /// Two steps of one plan change the same thing.
    SameTarget(String),
    /// Planning took too long.
    TooSlow {
        /// What was to be read.
        target: String,
        /// The deadline.
        within: Millis,
    },
}

impl PlanFault {
    /// The sentence for whoever asked for the plan.
    pub fn words(&self) -> Words {
        match self {
            PlanFault::UnknownAction(action) => Words::new("plan_fault.unknown_action").with("action", action.as_str()),
            PlanFault::NothingToGoBackTo(why) => {
                Words::new("plan_fault.nothing_to_go_back_to").with("why", why.clone())
            }
            PlanFault::AlreadyThere { target, to } => {
                Words::new("plan_fault.already_there").with("target", target.as_str()).with("to", to.as_str())
            }
            PlanFault::Unreadable { target, why } => {
                Words::new("plan_fault.unreadable").with("target", target.as_str()).with("why", why.clone())
            }
            PlanFault::Refused { target, why } => {
                Words::new("plan_fault.refused").with("target", target.as_str()).with("why", why.clone())
            }
            PlanFault::TooRisky { title, found, allowed } => too_risky(title.clone(), *found, *allowed),
            PlanFault::SameTarget(target) => Words::new("plan_fault.same_target").with("target", target.as_str()),
            PlanFault::TooSlow { target, within } => {
                Words::new("plan_fault.too_slow").with("target", target.as_str()).with("within_ms", within.0)
            }
        }
    }
}

/// Some steps in a row, which are shown under one title with the time that they have together.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseConfig {
    /// What it is for, one line.
    pub title: String,
    /// Its budget. Nothing is cut off when it is spent, but everybody sees it.
    #[serde(deserialize_with = "length::read")]
    pub within: Millis,
}

/// Makes the step's configuration from the table of providers: each is a field, exactly one of which is set.
macro_rules! providers {
    ($($(#[$doc:meta])* $name:ident: $provider:ty),* $(,)?) => {
        /// One step of an action: its kind with its settings, and what all kinds have in common.
        #[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct StepConfig {
            /// Its name for people; made from the plan when it is not said. `{{from}}`, `{{to}}` and `{{target}}`
            /// can be used.
            pub title: Option<String>,
            /// How long it may take; each kind has its own length when it is not said.
            #[serde(default, deserialize_with = "length::read_some")]
            pub within: Option<Millis>,
            /// A phase begins with it, which lasts until another step begins the next one.
            pub phase: Option<PhaseConfig>,
            /// It is done even when a step before it failed: what was stopped for that one starts again.
            #[serde(default)]
            pub always: bool,
            $($(#[$doc])* pub $name: Option<Box<$provider>>,)*
        }

        impl StepConfig {
            const KINDS: &'static [&'static str] = &[$(stringify!($name)),*];

            fn set(&self) -> Vec<(&'static str, &dyn ActionProvider)> {
                let mut set: Vec<(&'static str, &dyn ActionProvider)> = Vec::new();
                $(if let Some(provider) = &self.$name {
                    set.push((stringify!($name), provider.as_ref()));
                })*
                set
            }
        }
    };
}

providers! {
    /// A system that says over HTTP where it stands and can be told where to go.
    http_switch: HttpSwitch,
    /// Any other system with an HTTP API (X3).
    http_call: HttpCall,
    /// A program with an argument list (X3).
    command: CommandStep,
    /// An environment file that is saved or restored (X2).
    env_file: EnvFile,
    /// A service of a Docker Compose project (C1).
    compose: Compose,
    /// A service of AWS ECS (A1).
    ecs: Ecs,
    /// Workloads in a Kubernetes cluster (K1).
    kubernetes: Kubernetes,
    /// A project at Vercel (V1, V2).
    vercel: Vercel,
    /// A site at Netlify (N1).
    netlify: Netlify,
    /// A workflow of GitHub Actions (G2).
    github_workflow: GithubWorkflow,
    /// A branch of a git repository (G1).
    git: Git,
    /// A PostgreSQL database (D1, D2).
    postgres: Postgres,
    /// The last migration of a database, by the team's own tool (D4).
    migration: Migration,
}

/// What the steps of one action leave to choose. One `--to` cannot mean something to two kinds of them: a commit is no
/// deployment.
pub fn choosing(steps: &[StepConfig]) -> Choosing {
    match choosers(steps).as_slice() {
        [_] => steps.iter().map(StepConfig::choosing).max().unwrap_or_default(),
        _ => Choosing::Nothing,
    }
}

/// The kinds of steps that leave something to choose.
pub(super) fn choosers(steps: &[StepConfig]) -> Vec<&'static str> {
    let open = steps.iter().filter(|step| !step.choosing().is_nothing());
    let mut kinds: Vec<&'static str> = open.filter_map(|step| Some(step.provider()?.0)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

impl StepConfig {
    /// The provider and its name, if the configuration is valid.
    pub(super) fn provider(&self) -> Option<(&'static str, &dyn ActionProvider)> {
        self.set().into_iter().next()
    }

    /// Whether a person may or must say where this step goes.
    pub fn choosing(&self) -> Choosing {
        self.provider().map(|(_, provider)| provider.choosing()).unwrap_or_default()
    }

    /// The step in absolute terms, with the title and the provider's name filled in and every text redacted.
    pub(super) async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let (name, provider) = self.provider().ok_or_else(|| PlanFault::Refused {
            target: self.title.clone().unwrap_or_default(),
            why: Words::new("step.no_kind").with("known", Self::KINDS.join(", ")),
        })?;
        let step = PlannedStep { always: self.always, ..provider.plan(cx).await? };
        self.finished(step, name, cx)
    }

    /// Whether it can keep the state of things before anything is changed.
    pub fn can_keep_state(&self) -> bool {
        self.provider().is_some_and(|(_, provider)| provider.keeps_state_of().is_some())
    }

    /// Whether it puts other data in the place of what people write to.
    pub(super) fn replaces_data(&self) -> bool {
        self.provider().is_some_and(|(_, provider)| provider.replaces_data())
    }

    /// Whether it writes a copy of data or secrets somewhere.
    pub fn copies_data(&self) -> bool {
        self.provider().is_some_and(|(_, provider)| provider.copies_data())
    }

    /// Whether it can take up what an earlier step leaves.
    pub(super) fn takes_up(&self) -> bool {
        self.provider().is_some_and(|(_, provider)| provider.takes_up())
    }

    /// Whether it brings back what this earlier step changes.
    pub(super) fn brings_back(&self, earlier: &PlannedStep) -> bool {
        self.provider().is_some_and(|(_, provider)| provider.brings_back(earlier))
    }

    /// What it changes that nobody else may change meanwhile, as far as that is known without a look.
    pub(super) fn locks(&self) -> Vec<String> {
        let Some((_, provider)) = self.provider() else { return Vec::new() };
        let locks = provider.locks();
        if locks.is_empty() { vec![provider.target().into_owned()] } else { locks }
    }

    /// What a person knows its target by.
    pub(super) fn target(&self) -> String {
        self.provider().map(|(_, provider)| provider.target().into_owned()).unwrap_or_default()
    }

    /// The step that takes a done one back, filled in alike.
    pub(super) async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let provider =
            self.provider().filter(|(name, provider)| *name == done.provider && provider.target() == done.target);
        let Some((name, provider)) = provider else {
            return Err(PlanFault::NothingToGoBackTo(reconfigured()));
        };
        let step = provider.plan_back(done, cx).await?;
        self.finished(step, name, cx)
    }

    fn finished(&self, mut step: PlannedStep, name: &str, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        if let Some(title) = &self.title {
            let filling = Filling { from: step.from.as_deref(), to: &step.to, target: &step.target };
            step.title = Words::verbatim(filling.text(title));
        }
        step.provider = name.to_owned();
        let redactor = &cx.world.redactor;
        if redactor.knows_one_in(&step.spec.to_string()) {
            return Err(PlanFault::Refused { target: step.target, why: Words::new("step.holds_credential") });
        }
        step.title = redactor.words(step.title, MOST_SHOWN);
        step.from = step.from.map(|from| redactor.short(&from, MOST_SHOWN));
        step.to = redactor.short(&step.to, MOST_SHOWN);
        step.needs = step.needs.into_iter().map(|line| redactor.words(line, MOST_SHOWN)).collect();
        step.diff = step.diff.into_iter().map(|line| redactor.words(line, MOST_LINE)).collect();
        Ok(step)
    }

    /// How long this step may take.
    pub(super) fn deadline(&self) -> Duration {
        let usual = self.provider().map(|(_, provider)| provider.usually_within());
        length::duration(self.within.or(usual).unwrap_or(Millis::minutes(5)))
    }

    pub(super) fn secrets(&self) -> Vec<&SecretString> {
        self.set().into_iter().flat_map(|(_, provider)| provider.secrets()).collect()
    }

    pub(super) fn validate(&self, allowed: Risk, path: &str, faults: &mut Vec<ConfigFault>) {
        let set = self.set();
        if set.len() != 1 {
            faults.push(fault(path, format!("a step is exactly one of {}", Self::KINDS.join(", "))));
        }
        if let Some(title) = &self.title
            && let Some(sentence) = unknown(&placeholders(title), &["from", "to", "target"])
        {
            faults.push(fault(format!("{path}.title"), sentence));
        }
        if self.within == Some(Millis(0)) {
            faults.push(fault(format!("{path}.within"), "nothing happens in no time; write for example 5m"));
        }
        for (name, provider) in set {
            let path = format!("{path}.{name}");
            if provider.target().trim().is_empty() {
                faults.push(fault(format!("{path}.target"), "say what is changed, so that nothing else can be meant"));
            }
            if provider.risk() > allowed {
                let sentence = format!(
                    "this step counts as {}, but the action's risk is {}; say the step's risk, or raise the action's",
                    provider.risk().word(),
                    allowed.word()
                );
                faults.push(fault(format!("{path}.risk"), sentence));
            }
            provider.validate(&path, faults);
        }
    }
}
