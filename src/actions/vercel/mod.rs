//! Vercel: production goes back to an earlier deployment, is promoted, or domains are pointed elsewhere (V1).
//!
//! What this provider may not do: build anything, or take Vercel's yes for the end of it. Vercel answers before it acts, so
//! what the domain shows decides.

mod deployments;
mod moves;

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use self::moves::Moves;
use super::World;
use super::api::{Api, validate_base, validate_credential};
use super::config::{ConfigFault, fault};
use super::length;
use super::lever;
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

const VENDOR: &str = "Vercel";
const BASE: &str = "https://api.vercel.com";

/// A change to a project at Vercel: exactly one of rollback, promote and alias.
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
    /// What customers type: says what is live, and when it is.
    pub domain: String,
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
        format!("{} (Vercel, {})", self.moved_domains().join(", "), self.project).into()
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Reversible)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(5)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        vec![&self.token]
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let chosen = [self.rollback.is_some(), self.promote.is_some(), self.alias.is_some()];
        if chosen.iter().filter(|chosen| **chosen).count() != 1 {
            faults.push(fault(path, "say what is done in exactly one way: rollback, promote or alias"));
        }
        validate_project(self, path, faults);
        validate_domain(&self.domain, &format!("{path}.domain"), faults);
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

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        // Half of the time: a vendor that does not answer is to be named, and not only the planning that took too long.
        let api = self.api(cx.world, cx.within / 2);
        moves::plan(self, &api).await
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(found) => return StepResult::stale(found),
        };
        lever::throw(&self.lever(step, spec, cx), cx).await
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        match self.approved(step) {
            Ok(spec) => lever::settled(&self.lever(step, spec, cx), cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }
}

impl Vercel {
    /// The domains that are moved.
    fn moved_domains(&self) -> Vec<&str> {
        match &self.alias {
            Some(alias) => alias.domains.iter().map(String::as_str).collect(),
            None => vec![&self.domain],
        }
    }

    /// Rollback, promotion and alias move the same thing.
    fn locks(&self) -> Vec<String> {
        vec![format!("vercel/{}/{}/domains", self.team.as_deref().unwrap_or("-"), self.project)]
    }

    fn api<'a>(&'a self, world: &'a World, within: Duration) -> Api<'a> {
        Api::bearer(self.base_url.as_deref().unwrap_or(BASE), &self.token, world, within)
    }

    /// The query of every request.
    fn with_team<'q>(&'q self, more: &[(&'q str, &'q str)]) -> Vec<(&'q str, &'q str)> {
        self.team.iter().map(|team| ("teamId", team.as_str())).chain(more.iter().copied()).collect()
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Moves, Words> {
        let spec: Moves = spec_of(step)?;
        if step.locks == self.locks() && spec.is_meant_by(self) { Ok(spec) } else { Err(reconfigured()) }
    }

    fn lever<'a>(&'a self, step: &'a PlannedStep, moves: Moves, cx: &'a StepContext<'_>) -> moves::DomainLever<'a> {
        let note = format!("Vigie {}", cx.idempotency_key());
        moves::DomainLever { config: self, api: self.api(cx.world, cx.within), moves, target: &step.target, note }
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

fn validate_domain(domain: &str, path: &str, faults: &mut Vec<ConfigFault>) {
    if !domain.contains('.') || !is_plain(domain) {
        faults.push(fault(path, "write the domain alone, for example shop.example.com"));
    }
}

/// Letters, digits, dots, hyphens and underscores, as ids, names and domains have it.
fn is_plain(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=253).contains(&text.len()) && text.chars().all(is_fit) && !text.starts_with('.') && !text.ends_with('.')
}
