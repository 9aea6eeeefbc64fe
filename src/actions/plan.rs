//! Making plans: every step in absolute terms, the figures of the moment, and what will be verified.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::config::ActionConfig;
use super::length;
use super::provider::{PlanContext, PlanFault, StepConfig};
use super::stopwatch::within;
use super::{Actions, Inner};
use crate::incident::approval::{ActionPlan, CheckResult, PlannedStep, Risk, Verdict, Verification};
use crate::incident::words::Words;

impl Actions {
    /// The plan of an action, to be shown and approved. Only reads.
    ///
    /// # Errors
    /// [`PlanFault`], a sentence for the person who asked.
    pub async fn make_plan(&self, action: &str) -> Result<ActionPlan, PlanFault> {
        let config =
            self.inner.config.actions.get(action).ok_or_else(|| PlanFault::UnknownAction(action.to_owned()))?;
        let (steps, seen) = tokio::join!(self.inner.plan_steps(config), self.seen_now(config));
        let steps = steps?;
        refuse_a_target_twice(&steps)?;
        refuse_too_much(&steps, config.risk)?;
        Ok(ActionPlan {
            action: action.to_owned(),
            title: config.title.clone(),
            service: config.service.clone(),
            class: config.class,
            steps,
            why: config.why.iter().map(Words::verbatim).chain(figures(&seen)).collect(),
            cautions: config.cautions.clone(),
            will_not: config.will_not.clone(),
            verification: self.inner.verification(config, &seen).await,
            expected: config.expected,
        })
    }

    /// What the service's checks say at this moment.
    async fn seen_now(&self, config: &ActionConfig) -> Vec<CheckResult> {
        let Some(service) = &config.service else { return Vec::new() };
        self.look_at(service, length::duration(self.inner.config.limits.why_within)).await
    }
}

/// Why it is proposed: what is not as it should be.
fn figures(seen: &[CheckResult]) -> Vec<Words> {
    let bad: Vec<Words> = seen.iter().filter(|result| result.verdict > Verdict::Pass).map(figure).collect();
    match (bad.is_empty(), seen.len()) {
        (true, 0) => Vec::new(),
        (true, all) => vec![Words::new("look.all_pass").with("all", all)],
        (false, _) => bad,
    }
}

impl Inner {
    async fn plan_steps(&self, config: &ActionConfig) -> Result<Vec<PlannedStep>, PlanFault> {
        let plans = join_all(config.steps.iter().map(|step| self.plan_step(step))).await;
        plans.into_iter().collect()
    }

    async fn plan_step(&self, step: &StepConfig) -> Result<PlannedStep, PlanFault> {
        let limit = self.config.limits.plan_within;
        let cx = PlanContext { world: &self.world, within: length::duration(limit) };
        let planned = within(length::duration(limit), step.plan(&cx)).await;
        planned.unwrap_or_else(|_| {
            let target = step.provider().map(|(_, provider)| provider.target().into_owned()).unwrap_or_default();
            Err(PlanFault::TooSlow { target, within: limit })
        })
    }

    /// The checks afterwards; those whose figure is held against the one from before, with that.
    async fn verification(&self, config: &ActionConfig, seen: &[CheckResult]) -> Vec<Verification> {
        let limit = length::duration(self.config.limits.why_within);
        let named = config.verify.iter().map(|name| async move {
            let check = self.config.check(config.service.as_deref(), name)?;
            let mut verification = Verification::new(name, check.shown_title());
            if check.change().is_some() {
                verification.before = match seen.iter().find(|result| result.check == *name) {
                    Some(result) => result.figure.clone(),
                    // Another service's check.
                    None => check.look(&self.world, limit).await.figure,
                };
            }
            Some(verification)
        });
        join_all(named).await.into_iter().flatten().collect()
    }
}

fn figure(result: &CheckResult) -> Words {
    let words = Words::new("look.figure_of").with("title", result.title.as_str()).with("value", result.value.clone());
    words.with("limit", result.limit.clone())
}

fn refuse_a_target_twice(steps: &[PlannedStep]) -> Result<(), PlanFault> {
    let mut taken = BTreeSet::new();
    match steps.iter().flat_map(PlannedStep::locks).find(|lock| !taken.insert(*lock)) {
        None => Ok(()),
        Some(lock) => Err(PlanFault::SameTarget(lock.clone())),
    }
}

fn refuse_too_much(steps: &[PlannedStep], allowed: Risk) -> Result<(), PlanFault> {
    match steps.iter().find(|step| step.risk > allowed) {
        None => Ok(()),
        Some(step) => Err(PlanFault::TooRisky { title: step.title.clone(), found: step.risk, allowed }),
    }
}
