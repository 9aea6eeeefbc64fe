//! Vercel: production goes back to an earlier deployment, is promoted, or domains are pointed elsewhere (V1); environment
//! variables are kept, removed and put back (V2).
//!
//! What this provider may not do: build anything, take Vercel's yes for the end of it, or let a variable's value out. Vercel
//! answers before it acts, so what the domain shows decides.

mod copies;
mod deployments;
mod moves;
mod variables;

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

pub(super) use self::deployments::Project;
use self::moves::Moves;
pub use self::variables::{Operation, Variables};
use super::World;
use super::api::{Api, is_plain, validate_base, validate_credential};
use super::config::{ConfigFault, fault};
use super::length;
use super::lever;
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

pub(super) const VENDOR: &str = "Vercel";
pub(super) const BASE: &str = "https://api.vercel.com";

/// A change to a project at Vercel: exactly one of rollback, promote, alias and variables.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vercel {
    /// The project, by id or name.
    pub project: String,
    /// The team's id, where the project belongs to one.
    pub team: Option<String>,
    /// An access token that may deploy.
    #[schemars(with = "String")]
    pub token: SecretString,
    /// What customers type: says what is live, and when it is. Variables need none.
    pub domain: Option<String>,
    /// Where the API is; Vercel's own when it is not said.
    pub base_url: Option<String>,
    /// What it can do to the world; reversible when it is not said.
    pub risk: Option<Risk>,
    /// How long after Vercel's yes nothing need be seen: 15 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub settle: Option<Millis>,
    /// Goes back to an earlier production deployment.
    pub rollback: Option<Destination>,
    /// Makes a production deployment live, and lets new ones go live by themselves again.
    pub promote: Option<Destination>,
    /// Points domains to a deployment.
    pub alias: Option<Alias>,
    /// Environment variables, by name.
    pub variables: Option<Variables>,
}

/// Which deployment is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Always this one (`dpl_…`). When it is not said: a rollback takes the one before, a promotion the newest.
    pub to: Option<String>,
}

/// Which domains are pointed where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alias {
    /// The domains.
    pub domains: Vec<String>,
    /// The deployment (`dpl_…`); the one that `domain` shows when it is not said.
    pub to: Option<String>,
}

#[async_trait]
impl ActionProvider for Vercel {
    fn target(&self) -> Cow<'_, str> {
        match &self.variables {
            Some(_) => format!("{} (Vercel, env)", self.project).into(),
            None => format!("{} (Vercel, {})", self.moved_domains().join(", "), self.project).into(),
        }
    }

    /// Rollback, promotion and alias move the same thing.
    fn locks(&self) -> Vec<String> {
        let what = if self.variables.is_some() { "variables" } else { "domains" };
        vec![format!("vercel/{}/{}/{what}", self.team.as_deref().unwrap_or("-"), self.project)]
    }

    fn risk(&self) -> Risk {
        let only_looks = self.variables.as_ref().is_some_and(|variables| variables.operation == Operation::Save);
        self.risk.unwrap_or(if only_looks { Risk::ReadOnly } else { Risk::Reversible })
    }

    fn copies_data(&self) -> bool {
        self.variables.is_some()
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(5)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.token]
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let moves = [self.rollback.is_some(), self.promote.is_some(), self.alias.is_some()];
        let chosen = moves.iter().filter(|chosen| **chosen).count() + usize::from(self.variables.is_some());
        if chosen != 1 {
            faults.push(fault(path, "say what is done in exactly one way: rollback, promote, alias or variables"));
        }
        validate_project(self, path, faults);
        if let Some(variables) = &self.variables {
            variables.validate(&format!("{path}.variables"), faults);
        } else {
            validate_domain(self.domain.as_deref().unwrap_or_default(), &format!("{path}.domain"), faults);
        }
        let fixed = [
            ("rollback.to", self.rollback.as_ref().and_then(|destination| destination.to.as_ref())),
            ("promote.to", self.promote.as_ref().and_then(|destination| destination.to.as_ref())),
            ("alias.to", self.alias.as_ref().and_then(|alias| alias.to.as_ref())),
        ];
        for (place, to) in fixed {
            if to.is_some_and(|to| !to.starts_with("dpl_") || !is_plain(to)) {
                faults.push(fault(format!("{path}.{place}"), "this is no deployment's id; it begins with dpl_"));
            }
        }
        for (index, domain) in self.alias.iter().flat_map(|alias| &alias.domains).enumerate() {
            validate_domain(domain, &format!("{path}.alias.domains[{index}]"), faults);
        }
        if self.alias.as_ref().is_some_and(|alias| alias.domains.is_empty()) {
            faults.push(fault(format!("{path}.alias.domains"), "nothing would be pointed anywhere; name a domain"));
        }
    }

    fn choosing(&self) -> Choosing {
        let is_open = |destination: &Option<Destination>| destination.as_ref().is_some_and(|found| found.to.is_none());
        let is_copy = |variables: &Variables| variables.operation == Operation::Restore && variables.copy.is_none();
        let is_copy = self.variables.as_ref().is_some_and(is_copy);
        if is_copy || is_open(&self.rollback) || is_open(&self.promote) { Choosing::May } else { Choosing::Nothing }
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        if let Some(wanted) = &self.variables {
            return variables::choices(self, wanted).await;
        }
        moves::choices(self, &self.site(cx.world, cx.within / 2)).await
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        if self.variables.is_some() {
            return Err(PlanFault::NothingToGoBackTo(Words::new("step.no_way_back")));
        }
        moves::plan_back(self, &self.site(cx.world, cx.within / 2), done).await
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        // Half of the time: a vendor that does not answer is to be named, and not only the planning that took too long.
        let site = self.site(cx.world, cx.within / 2);
        match &self.variables {
            Some(wanted) => variables::plan(self, wanted, &site, cx.wanted).await,
            None => moves::plan(self, &site, cx.wanted).await,
        }
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let site = self.site(cx.world, cx.within);
        if let Some(wanted) = &self.variables {
            return variables::execute(self, wanted, site, step, cx).await;
        }
        match self.approved(step) {
            Ok(spec) => lever::throw(&self.lever(step, spec, site, cx), cx).await,
            Err(found) => StepResult::stale(found),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let site = self.site(cx.world, cx.within);
        if let Some(wanted) = &self.variables {
            return variables::check(self, wanted, site, step, cx).await;
        }
        match self.approved(step) {
            Ok(spec) => lever::settled(&self.lever(step, spec, site, cx), cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }
}

impl Vercel {
    /// The domains that are moved.
    fn moved_domains(&self) -> Vec<&str> {
        match &self.alias {
            Some(alias) => alias.domains.iter().map(String::as_str).collect(),
            None => self.domain.as_deref().into_iter().collect(),
        }
    }

    fn site<'a>(&'a self, world: &'a World, within: Duration) -> Project<'a> {
        let api = Api::bearer(self.base_url.as_deref().unwrap_or(BASE), &self.token, world, within);
        Project { api, name: &self.project, team: self.team.as_deref() }
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Moves, Words> {
        let spec: Moves = spec_of(step)?;
        if step.locks == self.locks() && spec.is_meant_by(self) { Ok(spec) } else { Err(reconfigured()) }
    }

    fn lever<'a>(
        &'a self,
        step: &'a PlannedStep,
        moves: Moves,
        site: Project<'a>,
        cx: &StepContext<'_>,
    ) -> moves::DomainLever<'a> {
        let note = format!("Vigie {}", cx.idempotency_key());
        moves::DomainLever { config: self, site, moves, target: &step.target, note }
    }
}

/// Adds the faults of what every request needs.
fn validate_project(config: &Vercel, path: &str, faults: &mut Vec<ConfigFault>) {
    if !is_plain(&config.project) {
        faults.push(fault(format!("{path}.project"), "this is no project; write its id (prj_…) or its name"));
    }
    if config.team.as_ref().is_some_and(|team| !is_plain(team)) {
        faults.push(fault(format!("{path}.team"), "this is no team's id; it begins with team_"));
    }
    validate_base(config.base_url.as_deref(), path, faults);
    validate_credential(&config.token, path, faults);
}

pub(super) fn validate_domain(domain: &str, path: &str, faults: &mut Vec<ConfigFault>) {
    if !domain.contains('.') || !is_plain(domain) {
        faults.push(fault(path, "write the domain alone, for example shop.example.com"));
    }
}
