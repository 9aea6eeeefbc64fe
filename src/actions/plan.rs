//! Making plans: every step in absolute terms, the figures of the moment, and what will be verified.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use futures_util::future::join_all;
use serde_json::Value;

use super::config::ActionConfig;
use super::length;
use super::provider::{
    MOST_SHOWN, PlanContext, PlanFault, StepConfig, StepResult, choosers, choosing, idempotency_key, reconfigured,
};
use super::stopwatch::within;
use super::{Actions, Inner};
use crate::incident::approval::{
    ActionPlan, CheckResult, Choice, Choosing, PlanPhase, PlannedStep, Risk, Verdict, Verification,
};
use crate::incident::id::RunId;
use crate::incident::time::Instant;
use crate::incident::words::Words;

impl Actions {
    /// What an action leaves to choose. Only reads.
    ///
    /// # Errors
    /// [`PlanFault`], a sentence for the person who asked.
    pub async fn choices(&self, action: &str) -> Result<Vec<Choice>, PlanFault> {
        let config = self.inner.action(action)?;
        if choosing(&config.steps).is_nothing() {
            return Ok(Vec::new());
        }
        let Some(step) = config.steps.iter().find(|step| !step.choosing().is_nothing()) else { return Ok(Vec::new()) };
        self.inner.choices(step).await
    }

    /// The plan of an action, to be shown and approved; `wanted` is what was chosen. Only reads.
    ///
    /// # Errors
    /// [`PlanFault`], a sentence for the person who asked.
    pub async fn make_plan(&self, action: &str, wanted: Option<&str>) -> Result<ActionPlan, PlanFault> {
        let config = self.inner.action(action)?;
        let kinds = choosers(&config.steps);
        if wanted.is_some() && kinds.len() > 1 {
            let why = Words::new("step.whose_choice").with("kinds", kinds);
            return Err(PlanFault::Refused { target: config.title.clone(), why });
        }
        let (steps, seen) = tokio::join!(self.inner.plan_steps(config, wanted), self.seen_now(config));
        let mut steps = chained(steps?, &config.steps)?;
        tell_of_writers(config, &mut steps);
        refuse_too_much(&steps, config.risk)?;
        Ok(ActionPlan {
            action: action.to_owned(),
            title: config.title.clone(),
            service: config.service.clone(),
            class: config.class,
            phases: phases(&config.steps),
            steps,
            why: config.why.iter().map(Words::verbatim).chain(figures(&seen)).collect(),
            cautions: config.cautions.clone(),
            will_not: config.will_not.clone(),
            stays_done: Vec::new(),
            verification: self.inner.verification(config, &seen).await,
            expected: config.expected,
        })
    }

    /// The plan that takes back what steps of another plan did, the last one first. `run` is the one that did them, and
    /// when it was asked for. Only reads.
    ///
    /// # Errors
    /// [`PlanFault`], a sentence for the person who asked: nothing can be taken back, or it cannot be looked at.
    pub async fn plan_back(
        &self,
        plan: &ActionPlan,
        begun: &[usize],
        (run, asked_at): (RunId, Instant),
    ) -> Result<ActionPlan, PlanFault> {
        let config = self.inner.action(&plan.action)?;
        let (mut back, mut stays_done, mut refused) = (Vec::new(), Vec::new(), None);
        for (place, done) in begun.iter().rev().filter_map(|place| Some((*place, plan.steps.get(*place)?))) {
            let key = idempotency_key(run, asked_at, place);
            let cx = PlanContext { done_by: Some(&key), ..self.inner.context(None, &[]) };
            let at = done.configured_at.unwrap_or(place);
            let Some(step) = config.steps.get(at).filter(|_| !done.has_nothing_to_do()) else { continue };
            match self.inner.in_time(step, step.plan_back(done, &cx)).await {
                Ok(step) => back.push((place, PlannedStep { configured_at: Some(at), ..step })),
                Err(fault @ PlanFault::AlreadyThere { .. }) => refused = refused.or(Some(fault)),
                // What somebody else has changed since stays as they left it, and the others are taken back all the same.
                Err(PlanFault::Refused { target, why }) => {
                    stays_done.push(stays(done, why.clone()));
                    refused = Some(PlanFault::Refused { target, why });
                }
                Err(PlanFault::NothingToGoBackTo(why)) => stays_done.push(stays(done, why)),
                Err(fault) => return Err(fault),
            }
        }
        if back.is_empty() {
            let why = Words::new("step.nothing_back").with("kept", stays_done.clone());
            // Its own words, where there is one reason.
            let only = refused.filter(|_| stays_done.len() <= 1);
            return Err(only.unwrap_or(PlanFault::NothingToGoBackTo(why)));
        }
        let mut steps = self.inner.with_writers_stopped(config, plan, back).await?;
        tell_of_writers(config, &mut steps);
        refuse_too_much(&steps, config.risk)?;
        let seen = self.seen_now(config).await;
        Ok(ActionPlan {
            action: plan.action.clone(),
            title: format!("↩ {}", config.title),
            service: config.service.clone(),
            class: config.class,
            phases: Vec::new(),
            steps,
            why: figures(&seen),
            cautions: Vec::new(),
            will_not: Vec::new(),
            stays_done,
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

/// Why a step stays as it is when the others are taken back.
fn stays(done: &PlannedStep, why: Words) -> Words {
    Words::new("step.stays_done").with("title", done.title.clone()).with("why", why)
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
    fn action(&self, key: &str) -> Result<&ActionConfig, PlanFault> {
        self.config.actions.get(key).ok_or_else(|| PlanFault::UnknownAction(key.to_owned()))
    }

    async fn plan_steps(&self, config: &ActionConfig, wanted: Option<&str>) -> Result<Vec<PlannedStep>, PlanFault> {
        let alone = config.steps.iter().map(|step| async move {
            if step.takes_up() { None } else { Some(self.plan_step(step, wanted, &[]).await) }
        });
        let alone: Vec<_> = join_all(alone).await;
        let (mut steps, mut there) = (Vec::new(), None);
        for (step, planned) in config.steps.iter().zip(alone) {
            let planned = match planned {
                Some(planned) => planned,
                None => self.plan_step(step, wanted, &steps).await,
            };
            steps.push(match planned {
                // Whoever chose where it goes is told that it is there.
                Err(PlanFault::AlreadyThere { target, to }) if wanted.is_none() || step.choosing().is_nothing() => {
                    let nothing = self.nothing_to_do(step, &to);
                    there.get_or_insert(PlanFault::AlreadyThere { target, to });
                    nothing
                }
                planned => planned?,
            });
        }
        match there {
            Some(fault) if steps.iter().all(PlannedStep::has_nothing_to_do) => Err(fault),
            _ => Ok(steps),
        }
    }

    /// A step whose end is the case already: one of several, so the others are done all the same.
    fn nothing_to_do(&self, step: &StepConfig, to: &str) -> PlannedStep {
        let (provider, target) =
            step.provider().map(|(name, provider)| (name, provider.target().into_owned())).unwrap_or_default();
        let redactor = &self.world.redactor;
        let title = Words::new("step.nothing_to_do").with("target", target.as_str()).with("to", to);
        PlannedStep {
            title: redactor.words(title, MOST_SHOWN),
            target,
            locks: Vec::new(),
            from: None,
            to: redactor.short(to, MOST_SHOWN),
            diff: Vec::new(),
            needs: Vec::new(),
            risk: Risk::ReadOnly,
            configured_at: None,
            always: step.always,
            after: Vec::new(),
            provider: provider.to_owned(),
            spec: Value::Null,
        }
    }

    /// Whether there still is nothing to do: the world may have moved since the plan. Only reads.
    pub(super) async fn still_nothing_to_do(&self, step: &StepConfig) -> StepResult {
        match self.plan_step(step, None, &[]).await {
            Err(PlanFault::AlreadyThere { target, to }) => {
                StepResult::done(Words::new("step.nothing_to_do").with("target", target).with("to", to))
            }
            Ok(now) => StepResult::stale(Words::new("step.something_to_do").with("title", now.title)),
            Err(fault) => StepResult::failed(fault.words()),
        }
    }

    async fn plan_step(
        &self,
        step: &StepConfig,
        wanted: Option<&str>,
        earlier: &[PlannedStep],
    ) -> Result<PlannedStep, PlanFault> {
        let wanted = wanted.filter(|_| !step.choosing().is_nothing());
        if wanted.is_none() && step.choosing() == Choosing::Must {
            let why = Words::new("step.not_chosen");
            return Err(PlanFault::Refused { target: step.target(), why });
        }
        self.in_time(step, step.plan(&self.context(wanted, earlier))).await
    }

    /// The way back, each with its place in the plan that is taken back, the last one first. Who was stopped for a step
    /// that replaces data is stopped for its way back, too, and starts again afterwards.
    async fn with_writers_stopped(
        &self,
        config: &ActionConfig,
        plan: &ActionPlan,
        back: Vec<(usize, PlannedStep)>,
    ) -> Result<Vec<PlannedStep>, PlanFault> {
        let replaces =
            |place: &usize| config.steps.get(configured_at(plan, *place)).is_some_and(StepConfig::replaces_data);
        let places: Vec<usize> = back.iter().map(|(place, _)| *place).collect();
        let pauses: Vec<Pause> = pauses(plan, &places).filter(|pause| pause.inside.iter().any(replaces)).collect();
        let (mut steps, mut stopped_at) = (Vec::new(), BTreeMap::new());
        for (place, step) in back {
            let begins = pauses.iter().filter(|pause| pause.inside.first() == Some(&place));
            for stop in begins.flat_map(|pause| &pause.stops) {
                stopped_at.insert(*stop, steps.len());
                steps.push(self.plan_again(config, plan, *stop, &[]).await?);
            }
            steps.push(step);
            for pause in pauses.iter().filter(|pause| pause.inside.last() == Some(&place)) {
                let start = self.plan_again(config, plan, pause.start, &steps).await?;
                let after = pause.stops.iter().filter_map(|stop| stopped_at.get(stop).copied()).collect();
                steps.push(PlannedStep { after, ..start });
            }
        }
        Ok(steps)
    }

    /// A step of a plan, planned once more from the world as it is now.
    async fn plan_again(
        &self,
        config: &ActionConfig,
        plan: &ActionPlan,
        place: usize,
        earlier: &[PlannedStep],
    ) -> Result<PlannedStep, PlanFault> {
        let at = configured_at(plan, place);
        let step = config.steps.get(at).ok_or_else(|| PlanFault::NothingToGoBackTo(reconfigured()))?;
        let planned = match self.plan_step(step, None, earlier).await {
            Err(PlanFault::AlreadyThere { to, .. }) => self.nothing_to_do(step, &to),
            planned => planned?,
        };
        Ok(PlannedStep { configured_at: Some(at), ..planned })
    }

    async fn choices(&self, step: &StepConfig) -> Result<Vec<Choice>, PlanFault> {
        let Some((_, provider)) = step.provider() else { return Ok(Vec::new()) };
        let choices = self.in_time(step, provider.choices(&self.context(None, &[]))).await?;
        let redactor = &self.world.redactor;
        let shown = |choice: Choice| Choice { label: redactor.words(choice.label, MOST_SHOWN), ..choice };
        Ok(choices.into_iter().map(shown).collect())
    }

    fn context<'c>(&'c self, wanted: Option<&'c str>, earlier: &'c [PlannedStep]) -> PlanContext<'c> {
        let within = length::duration(self.config.limits.plan_within);
        PlanContext { world: &self.world, within, wanted, earlier, done_by: None }
    }

    async fn in_time<T>(
        &self,
        step: &StepConfig,
        looking: impl Future<Output = Result<T, PlanFault>>,
    ) -> Result<T, PlanFault> {
        let limit = self.config.limits.plan_within;
        let seen = within(length::duration(limit), looking).await;
        seen.unwrap_or_else(|_| Err(PlanFault::TooSlow { target: step.target(), within: limit }))
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

fn phases(steps: &[StepConfig]) -> Vec<PlanPhase> {
    let begun = steps.iter().enumerate().filter_map(|(first, step)| Some((first, step.phase.as_ref()?)));
    begun.map(|(first, phase)| PlanPhase { title: phase.title.clone(), within: phase.within, first }).collect()
}

fn figure(result: &CheckResult) -> Words {
    let words = Words::new("look.figure_of").with("title", result.title.as_str()).with("value", result.value.clone());
    words.with("limit", result.limit.clone())
}

/// The steps, each with those that it brings back. Two of them may change the same only where the later one takes up what the
/// other leaves: one that was planned from the world as it is now would undo, or not know, what that does.
fn chained(steps: Vec<PlannedStep>, configured: &[StepConfig]) -> Result<Vec<PlannedStep>, PlanFault> {
    let mut chained: Vec<PlannedStep> = Vec::with_capacity(steps.len());
    for (mut step, config) in steps.into_iter().zip(configured) {
        let mut own = BTreeSet::new();
        for lock in step.locks().to_vec() {
            let is_same = |earlier: &&PlannedStep| earlier.locks().contains(&lock);
            let is_taken = chained.iter().any(|earlier| is_same(&earlier));
            if !own.insert(lock.clone()) || (is_taken && !config.takes_up()) {
                return Err(PlanFault::SameTarget(step.target.clone()));
            }
            let earlier = chained.iter().enumerate().filter(|(_, earlier)| is_same(earlier));
            step.after.extend(earlier.filter(|(_, earlier)| config.brings_back(earlier)).map(|(place, _)| place));
        }
        step.after.sort_unstable();
        step.after.dedup();
        chained.push(step);
    }
    Ok(chained)
}

/// Where the step at this place of a plan stands in the configuration.
fn configured_at(plan: &ActionPlan, place: usize) -> usize {
    plan.steps.get(place).and_then(|step| step.configured_at).unwrap_or(place)
}

/// Something is stopped for a while.
struct Pause {
    stops: Vec<usize>,
    /// The step that starts it again whatever happens.
    start: usize,
    /// Those of some places that are in between.
    inside: Vec<usize>,
}

fn pauses<'p>(plan: &'p ActionPlan, places: &'p [usize]) -> impl Iterator<Item = Pause> + 'p {
    let starts = plan.steps.iter().enumerate().filter(|(_, step)| step.always && !step.after.is_empty());
    starts.map(|(start, step)| {
        let stopped = |place: &usize| *place < start && step.after.iter().all(|stop| stop < place);
        let inside = places.iter().copied().filter(stopped).collect();
        Pause { stops: step.after.clone(), start, inside }
    })
}

/// Where nothing before it changes anything, nobody who writes was stopped for a step that replaces data.
fn tell_of_writers(config: &ActionConfig, steps: &mut [PlannedStep]) {
    let quiet = steps.iter().take_while(|step| step.risk == Risk::ReadOnly).count();
    // Those that only read, and the first that changes something.
    for (place, step) in steps.iter_mut().enumerate().take(quiet + 1) {
        let configured = config.steps.get(step.configured_at.unwrap_or(place));
        if configured.is_some_and(StepConfig::replaces_data) {
            step.diff.push(Words::new("step.writers_go_on"));
        }
    }
}

fn refuse_too_much(steps: &[PlannedStep], allowed: Risk) -> Result<(), PlanFault> {
    match steps.iter().find(|step| step.risk > allowed) {
        None => Ok(()),
        Some(step) => Err(PlanFault::TooRisky { title: step.title.clone(), found: step.risk, allowed }),
    }
}
