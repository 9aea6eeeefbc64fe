//! Executing an approved plan: one step after another, each result committed before the next begins.
//!
//! Nothing is ever repeated blindly: after a crash or a lost answer the provider looks first. What cannot be told is
//! said to be unknown, and a person settles it (durability, rules 6 and 7).

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::provider::{ActionProvider, Happened, InUse, MOST_SHOWN, StepConfig, StepContext, StepResult, reconfigured};
use super::stopwatch::{Stopwatch, within};
use super::verify::is_good;
use super::{Actions, Inner};
use crate::incident::approval::{ActionPlan, ApprovedPlan, CheckResult, Halt, Outcome, PlannedStep, Risk};
use crate::incident::decision::Report;
use crate::incident::id::RunId;
use crate::incident::time::Instant;
use crate::incident::words::Words;

/// How a run is to be executed, and what it is told and tells on the way.
pub struct Execution<'a> {
    /// The run's fence (durability, rule 6).
    pub fence: i64,
    /// The fence that this attempt began with: the same when another owner takes it up, another when a person has it tried
    /// again.
    pub attempt: i64,
    /// The steps that have ended already, well or not.
    pub ended: BTreeSet<usize>,
    /// How the steps had come to an end when the former owner was lost: only those that are done whatever happens are left.
    pub halted: Option<Halt>,
    /// A step that had begun when the former owner was lost; it is looked at before anything else.
    pub in_doubt: Option<usize>,
    /// Commits a report durably; nothing goes on before it has.
    pub report: &'a (dyn Fn(Report) -> BoxFuture<'a, Result<(), NotCommitted>> + Send + Sync),
    /// Whether somebody wants it to stop; asked before each step, for another process may have heard it.
    pub stop_asked: &'a (dyn Fn() -> BoxFuture<'a, Result<bool, NotCommitted>> + Send + Sync),
    /// What the plans of other runs name that may still be carried out.
    pub in_use: &'a (dyn Fn() -> BoxFuture<'a, Result<BTreeSet<String>, NotCommitted>> + Send + Sync),
    /// Told how a step goes: the step, from 0, and a sentence without secrets. May be lost.
    pub progress: &'a (dyn Fn(usize, Words) + Send + Sync),
}

/// The store could not take a result or be asked, so nothing more was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store did not answer between two steps, so the run was left where it is: {0}")]
pub struct NotCommitted(pub String);

/// What a provider gets beyond its deadline to end by itself: a program needs it to be ended properly.
const FUSE: Duration = Duration::from_secs(15);

/// How long taking away what a step left lying may take.
const TIDYING: Duration = Duration::from_secs(5);

/// A step that is done.
struct Done {
    note: Words,
    output: Option<String>,
    live: Option<String>,
}

/// How a step ended is not known.
struct Lost {
    why: Words,
    output: Option<String>,
}

/// What is known of a step that the former owner had begun.
enum Doubt {
    /// It is done.
    Done(Done),
    /// It did not happen.
    NotBegun,
    /// It happened and is not over; it is followed to its end.
    Begun,
}

impl Actions {
    /// Executes what is left of an approved plan, then verifies, and reports each event through `execution.report`.
    ///
    /// # Errors
    /// [`NotCommitted`]: a report could not be stored. Everything stops where it is; the next owner goes on with
    /// `in_doubt`.
    pub async fn execute(&self, approved: &ApprovedPlan, execution: &Execution<'_>) -> Result<Outcome, NotCommitted> {
        let (run, asked_at) = (approved.run(), approved.asked_at());
        let one = Single { inner: &self.inner, run, asked_at, plan: approved.plan(), execution };
        let end = match one.steps().await? {
            Ok(()) => one.verification().await?,
            Err(halt) => halt,
        };
        let Halt { outcome, output } = end;
        tracing::info!(run = %approved.run(), ?outcome, "run ended");
        let report = Report::RunFinished { run: approved.run(), outcome: outcome.clone(), output };
        (execution.report)(report).await?;
        Ok(outcome)
    }
}

/// One execution of one run.
struct Single<'a, 'e> {
    inner: &'a Inner,
    run: RunId,
    asked_at: Instant,
    plan: &'a ActionPlan,
    execution: &'a Execution<'e>,
}

impl Single<'_, '_> {
    async fn report(&self, report: Report) -> Result<(), NotCommitted> {
        (self.execution.report)(report).await
    }

    /// All steps that are left; after one that ended badly only those that are done whatever happens.
    async fn steps(&self) -> Result<Result<(), Halt>, NotCommitted> {
        let mut halted = self.execution.halted.clone();
        for (index, step) in self.plan.steps.iter().enumerate() {
            let has_ended = self.execution.ended.contains(&index);
            if has_ended || (halted.is_some() && !step.always) {
                continue;
            }
            let doubted = self.execution.in_doubt == Some(index);
            let Err(halt) = self.whole_step(index, step, doubted, halted.is_some()).await? else { continue };
            let halt = match halted.take() {
                None => halt,
                Some(first) => closing_failed(first, halt, step),
            };
            let closing = self.closing(index);
            if let Outcome::Unknown { step, why } = halt.outcome {
                return Ok(Err(Halt { outcome: unclosed(step, why, &closing), ..halt }));
            }
            if closing.is_empty() || !self.may_have_changed(index, &halt.outcome) {
                return Ok(Err(halt));
            }
            let (outcome, output) = (halt.outcome.clone(), halt.output.clone());
            // Before anything more is done: whoever takes the run over must know why the rest is left out.
            self.report(Report::RunHalted { run: self.run, step: index, outcome, output }).await?;
            halted = Some(halt);
        }
        Ok(halted.map_or(Ok(()), Err))
    }

    /// One step from beginning to end, with everything that is reported on the way.
    async fn whole_step(
        &self,
        index: usize,
        step: &PlannedStep,
        doubted: bool,
        closing: bool,
    ) -> Result<Result<(), Halt>, NotCommitted> {
        let provider = match self.provider(index, step) {
            Ok(provider) => provider,
            Err(found) if doubted => {
                let why = interrupted(found);
                return Ok(Err(Halt::new(Outcome::Unknown { step: index, why })));
            }
            Err(found) => return Ok(Err(Halt::new(Outcome::Stale { step: index, found }))),
        };
        let watch = Stopwatch::start();
        let mut doubt = Doubt::NotBegun;
        if doubted && !step.has_nothing_to_do() {
            doubt = match self.settle_doubt(index, step, &provider).await {
                Ok(doubt) => doubt,
                Err(halt) => return Ok(Err(halt)),
            };
        }
        let done = match doubt {
            Doubt::Done(done) => done,
            Doubt::NotBegun if !closing && (self.execution.stop_asked)().await? => {
                return Ok(Err(Halt::new(Outcome::Stopped { done: index })));
            }
            Doubt::NotBegun | Doubt::Begun => {
                self.report(Report::StepStarted { run: self.run, step: index }).await?;
                let begun = matches!(doubt, Doubt::Begun);
                match self.step(index, step, &provider, begun).await {
                    Ok(done) => done,
                    Err(halt) => return Ok(Err(halt)),
                }
            }
        };
        let Done { note, output, live } = done;
        let took = watch.took();
        let (run, fence, step) = (self.run, Some(self.execution.fence), index);
        self.report(Report::StepFinished { run, fence, step, note, took, output, live }).await?;
        let progress = |now: Words| self.tell(index, now);
        let cx = self.context(index, &provider, &progress);
        if within(TIDYING, provider.provider.tidy(&cx)).await.is_err() {
            tracing::warn!(run = %self.run, step = index, "what a step left lying was not taken away in time");
        }
        Ok(Ok(()))
    }

    /// The steps after this one that are done whatever happens.
    fn closing(&self, after: usize) -> Vec<&PlannedStep> {
        self.plan.steps.iter().skip(after + 1).filter(|step| step.always).collect()
    }

    /// Whether something may have been changed when a step ended so: nothing need be closed that was never opened.
    fn may_have_changed(&self, index: usize, outcome: &Outcome) -> bool {
        let untouched = matches!(outcome, Outcome::Stale { .. } | Outcome::Stopped { .. });
        !untouched || self.plan.steps.iter().take(index).any(|step| step.risk > Risk::ReadOnly)
    }

    fn tell(&self, step: usize, now: Words) {
        (self.execution.progress)(step, self.inner.world.redactor.words(now, MOST_SHOWN));
    }

    /// Today's configuration of a planned step, if it still is of the kind that was approved.
    fn provider(&self, index: usize, step: &PlannedStep) -> Result<Configured<'_>, Words> {
        let config = self.inner.config.actions.get(&self.plan.action);
        let config = config.and_then(|action| action.steps.get(step.configured_at.unwrap_or(index)));
        let found = config.and_then(|config| Some((config, config.provider()?)));
        match found {
            Some((config, (name, provider))) if name == step.provider && provider.target() == step.target => {
                Ok(Configured { config, provider })
            }
            _ => Err(reconfigured()),
        }
    }

    /// What became of the step that the former owner had begun.
    async fn settle_doubt(&self, index: usize, step: &PlannedStep, provider: &Configured<'_>) -> Result<Doubt, Halt> {
        match self.look(index, step, provider).await {
            Happened::Yes { note, live } => {
                Ok(Doubt::Done(Done { note: self.clean(note), output: None, live: self.shown(live) }))
            }
            Happened::No { note } => {
                tracing::info!(run = %self.run, step = index, %note, "the interrupted step had not happened");
                Ok(Doubt::NotBegun)
            }
            Happened::Begun { note } => {
                tracing::info!(run = %self.run, step = index, %note, "the interrupted step is under way");
                Ok(Doubt::Begun)
            }
            Happened::CannotTell { why } => Err(Halt::new(Outcome::Unknown { step: index, why: interrupted(why) })),
        }
    }

    /// Does it. A lost answer is settled by a look; what is under way then is followed to its end while there is time.
    async fn step(
        &self,
        index: usize,
        step: &PlannedStep,
        provider: &Configured<'_>,
        begun: bool,
    ) -> Result<Done, Halt> {
        let watch = Stopwatch::start();
        let whole = provider.config.deadline();
        let lost = match self.attempt(index, step, provider, (whole, begun)).await? {
            Ok(done) => return Ok(done),
            Err(lost) => lost,
        };
        let (happened, left) = (self.look(index, step, provider).await, watch.left_of(whole));
        if !matches!(happened, Happened::Begun { .. }) || left.is_zero() {
            return self.settled(index, happened, lost);
        }
        match self.attempt(index, step, provider, (left, true)).await? {
            Ok(done) => Ok(done),
            Err(lost) => self.settled(index, self.look(index, step, provider).await, lost),
        }
    }

    /// Lets the provider do it, or take up what it has begun.
    async fn attempt(
        &self,
        index: usize,
        step: &PlannedStep,
        provider: &Configured<'_>,
        (time, begun): (Duration, bool),
    ) -> Result<Result<Done, Lost>, Halt> {
        let progress = |now: Words| self.tell(index, now);
        let cx = StepContext { begun, within: time, ..self.context(index, provider, &progress) };
        let doing = async {
            match step.has_nothing_to_do() {
                true => self.inner.still_nothing_to_do(provider.config).await,
                false => provider.provider.execute(step, &cx).await,
            }
        };
        let result = within(time + FUSE, doing).await;
        let result = result.unwrap_or_else(|_| StepResult::unknown(Words::new("step.no_result")));
        match if begun { result.taken_up() } else { result } {
            StepResult::Done { note, output, live } => {
                Ok(Ok(Done { note: self.clean(note), output, live: self.shown(live) }))
            }
            StepResult::Stale { found } => Err(Halt::new(Outcome::Stale { step: index, found: self.clean(found) })),
            StepResult::Failed { why, output } => {
                Err(Halt { outcome: Outcome::Failed { step: Some(index), why: self.clean(why) }, output })
            }
            StepResult::Unknown { why, output } => Ok(Err(Lost { why, output })),
        }
    }

    /// What a look after a lost answer comes to.
    fn settled(&self, index: usize, happened: Happened, lost: Lost) -> Result<Done, Halt> {
        let Lost { why: lost, output } = lost;
        let outcome = match happened {
            Happened::Yes { note, live } => {
                let note = Words::new("step.all_the_same").with("note", note).with("lost", lost);
                return Ok(Done { note: self.clean(note), output, live: self.shown(live) });
            }
            Happened::No { note } => Outcome::Failed { step: Some(index), why: self.clean(both(lost, note)) },
            // It had all the time it may take, so nobody knows yet how it ends.
            Happened::Begun { note: why } | Happened::CannotTell { why } => {
                Outcome::Unknown { step: index, why: self.clean(both(lost, why)) }
            }
        };
        Err(Halt { outcome, output })
    }

    async fn look(&self, index: usize, step: &PlannedStep, provider: &Configured<'_>) -> Happened {
        let progress = |now: Words| self.tell(index, now);
        let cx = self.context(index, provider, &progress);
        let happened = within(cx.within + FUSE, provider.provider.check(step, &cx)).await;
        happened.unwrap_or_else(|_| Happened::CannotTell { why: Words::new("step.no_look") })
    }

    fn context<'c>(
        &'c self,
        step: usize,
        provider: &Configured<'_>,
        progress: &'c (dyn Fn(Words) + Send + Sync),
    ) -> StepContext<'c> {
        StepContext {
            world: &self.inner.world,
            run: self.run,
            asked_at: self.asked_at,
            step,
            fence: self.execution.fence,
            attempt: self.execution.attempt,
            begun: false,
            within: provider.config.deadline(),
            progress,
            in_use: self,
        }
    }

    /// The checks of the plan; a plan without any is done when its steps are.
    async fn verification(&self) -> Result<Halt, NotCommitted> {
        if self.plan.verification.is_empty() {
            return Ok(Halt::new(Outcome::Done));
        }
        self.report(Report::VerificationStarted { run: self.run }).await?;
        let results = self.inner.verify(self.plan).await;
        let bad: Vec<Value> = results.iter().filter(|result| !is_good(result)).map(failure).collect();
        self.report(Report::VerificationFinished { run: self.run, results }).await?;
        if bad.is_empty() {
            return Ok(Halt::new(Outcome::Done));
        }
        let why = Words::new("step.checks_failed").with("checks", bad);
        Ok(Halt::new(Outcome::Failed { step: None, why }))
    }

    /// A state without secrets and of bearable length.
    fn shown(&self, live: Option<String>) -> Option<String> {
        live.map(|live| self.inner.world.redactor.short(&live, MOST_SHOWN))
    }

    /// A sentence without secrets and of bearable length.
    fn clean(&self, sentence: Words) -> Words {
        self.inner.world.redactor.words(sentence, 500)
    }
}

#[async_trait]
impl InUse for Single<'_, '_> {
    async fn beside(&self, step: usize) -> Result<BTreeSet<String>, Words> {
        let asked = (self.execution.in_use)().await;
        let mut named = asked.map_err(|NotCommitted(why)| Words::verbatim(why))?;
        let others = self.plan.steps.iter().enumerate().filter(|(place, _)| *place != step);
        named.extend(others.flat_map(|(_, other)| other.texts()));
        Ok(named)
    }
}

/// A step's configuration with its provider.
struct Configured<'a> {
    config: &'a StepConfig,
    provider: &'a dyn ActionProvider,
}

/// The step had begun when its former owner was lost, and this is all that is known.
fn interrupted(why: Words) -> Words {
    Words::new("step.interrupted").with("why", why)
}

fn both(first: Words, then: Words) -> Words {
    Words::new("step.both").with("first", first).with("then", then)
}

/// A step that is done whatever happens ended badly too; why the others were left out stays the first thing to know.
fn closing_failed(first: Halt, then: Halt, step: &PlannedStep) -> Halt {
    let title = step.title.clone();
    let closing = |why: Words| Words::new("step.closing_failed").with("title", title.clone()).with("why", why);
    let output = then.output.or(first.output);
    let outcome = match (first.outcome, then.outcome) {
        (Outcome::Failed { step, why }, Outcome::Failed { why: then, .. } | Outcome::Stale { found: then, .. }) => {
            Outcome::Failed { step, why: both(why, closing(then)) }
        }
        (Outcome::Failed { why, .. }, Outcome::Unknown { step, why: then }) => {
            Outcome::Unknown { step, why: both(why, closing(then)) }
        }
        // The world had moved, or somebody stopped it: what matters now is what could not be closed.
        (_, Outcome::Stale { step, found }) => Outcome::Failed { step: Some(step), why: closing(found) },
        (_, then) => then,
    };
    Halt { outcome, output }
}

/// Nothing more is done on what nobody knows, which leaves open what these steps were to close.
fn unclosed(step: usize, why: Words, closing: &[&PlannedStep]) -> Outcome {
    if closing.is_empty() {
        return Outcome::Unknown { step, why };
    }
    let titles: Vec<Value> = closing.iter().map(|step| step.title.clone().into()).collect();
    Outcome::Unknown { step, why: Words::new("step.not_closed").with("why", why).with("titles", titles) }
}

fn failure(result: &CheckResult) -> Value {
    let words = Words::new("look.figure_of").with("title", result.title.as_str()).with("value", result.value.clone());
    words.with("limit", Value::Null).into()
}

#[cfg(test)]
mod tests;
