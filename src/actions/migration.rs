//! D4: the last migration of a database is undone by the team's own tool, which is asked before and afterwards where it
//! stands. What is undone was named and approved; a tool that would undo another one is not called.

use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;
use regex::{Regex, RegexBuilder};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::World;
use super::command::{MOST_OUTPUT, Place, shown, validate_argv};
use super::config::{ConfigFault, fault};
use super::process::{Deadline, Ended, Finished};
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use super::stopwatch::Patience;
use super::template::{Filling, placeholders};
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// The team's tool, and how what it prints is read.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// What is migrated, named so that nothing else can be meant.
    pub target: String,
    /// Where and with what the tool runs.
    #[serde(default)]
    pub place: Place,
    /// The tool, told to list what is applied, the oldest first. It only reads.
    pub status: Vec<String>,
    /// Exit codes with which it has listed well: 0 when it is not said.
    #[serde(default = "well")]
    pub status_exits: Vec<i32>,
    /// A regular expression with one group: the name of an applied migration.
    pub applied: String,
    /// The tool, told to undo the last one. `{{from}}` is that one and `{{to}}` the one before it, as whole arguments.
    /// Where there is none before it, an undo that needs `{{to}}` is refused.
    pub undo: Vec<String>,
    /// The tool, told to apply it again: the way back. `{{to}}` is the one to apply.
    pub redo: Option<Vec<String>>,
    /// What it can do to the world; destructive when it is not said.
    pub risk: Option<Risk>,
}

fn well() -> Vec<i32> {
    vec![0]
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    /// The migration that stood last.
    from: Option<String>,
    /// The one that will.
    to: Option<String>,
    way: Way,
    argv: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Undo,
    Redo,
}

/// What stands where there is no migration at all.
const NONE: &str = "∅";
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(60);
/// What a tool that was cut off has asked of the database may come to its end so long afterwards.
const LATE: Duration = Duration::from_secs(3);

fn at(migration: Option<&String>) -> &str {
    migration.map_or(NONE, String::as_str)
}

#[async_trait]
impl ActionProvider for Migration {
    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.target)
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Destructive)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(10)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.place.secrets.values().collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        validate_argv(&self.status, &[], &format!("{path}.status"), faults);
        validate_argv(&self.undo, &["from", "to"], &format!("{path}.undo"), faults);
        if let Some(redo) = &self.redo {
            validate_argv(redo, &["from", "to"], &format!("{path}.redo"), faults);
        }
        if self.status_exits.is_empty() {
            faults.push(fault(format!("{path}.status_exits"), "name at least one code that is good, for example 0"));
        }
        match Regex::new(&self.applied) {
            Ok(pattern) if pattern.captures_len() == 2 => {}
            Ok(_) => {
                let sentence = "the name of a migration is its one group; write for example ^applied (\\S+)";
                faults.push(fault(format!("{path}.applied"), sentence));
            }
            Err(error) => {
                let last = error.to_string().lines().last().unwrap_or_default().to_owned();
                faults.push(fault(format!("{path}.applied"), format!("this is not a regular expression: {last}")));
            }
        }
        self.place.validate(&format!("{path}.place"), faults);
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let applied = self.applied(cx.world, cx.within).await;
        let mut applied = applied.map_err(|why| PlanFault::Unreadable { target: self.target.clone(), why })?;
        let Some(from) = applied.pop() else {
            let why = Words::new("migration.none_applied").with("pattern", self.applied.as_str());
            return Err(PlanFault::NothingToGoBackTo(why));
        };
        self.planned(Way::Undo, Some(from), applied.pop())
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let spec: Spec = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
        if self.redo.is_none() || spec.way == Way::Redo {
            return Err(PlanFault::NothingToGoBackTo(Words::new("step.no_way_back")));
        }
        let applied = self.applied(cx.world, cx.within).await;
        let now = applied.map_err(|why| PlanFault::Unreadable { target: self.target.clone(), why })?.pop();
        if now == spec.from {
            let to = at(spec.from.as_ref()).to_owned();
            return Err(PlanFault::AlreadyThere { target: self.target.clone(), to });
        }
        if now != spec.to {
            return Err(PlanFault::Refused {
                target: self.target.clone(),
                why: self.says("step.elsewhere", now.as_ref()),
            });
        }
        self.planned(Way::Redo, now, spec.from)
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(found) => return StepResult::stale(found),
        };
        match self.stands(cx).await {
            Ok(now) if now == spec.to => return StepResult::done(self.says("step.already_at", now.as_ref())),
            Ok(now) if now != spec.from => return StepResult::stale(self.says("step.is_at", now.as_ref())),
            Ok(_) => {}
            Err(why) => return StepResult::unchanged(why),
        }
        let (run, number, fence) = (cx.run.to_string(), (cx.step + 1).to_string(), cx.fence.to_string());
        let extra = [("VIGIE_RUN_ID", run.as_str()), ("VIGIE_STEP", &number), ("VIGIE_FENCE", &fence)];
        let progress = |line: &str| (cx.progress)(Words::verbatim(line));
        let ran = self.place.run(&spec.argv, &extra, cx.world, Deadline::of(cx.within), &progress).await;
        match ran {
            Ok(finished) => self.judged(&spec, &finished, cx).await,
            Err(fault) => StepResult::unchanged(fault.words()),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(why) => return Happened::CannotTell { why },
        };
        let patience = Patience::new(LATE.min(cx.within));
        loop {
            match self.stands(cx).await {
                Err(why) => return Happened::CannotTell { why },
                Ok(now) if now == spec.to => {
                    return Happened::Yes { note: self.says("step.is_at", now.as_ref()), live: None };
                }
                Ok(now) if now != spec.from => {
                    return Happened::CannotTell { why: self.says("step.elsewhere", now.as_ref()) };
                }
                Ok(now) if patience.is_over() => {
                    return Happened::No { note: self.says("step.still_at", now.as_ref()) };
                }
                Ok(_) => patience.pause().await,
            }
        }
    }
}

impl Migration {
    /// A sentence about where it stands.
    fn says(&self, key: &'static str, migration: Option<&String>) -> Words {
        Words::new(key).with("target", self.target.as_str()).with("at", at(migration))
    }

    /// # Errors
    /// [`PlanFault`]: the tool is to be told a migration that is none. What it makes of an empty argument nobody knows; it
    /// may be all of them.
    fn planned(&self, way: Way, from: Option<String>, to: Option<String>) -> Result<PlannedStep, PlanFault> {
        let named = [("from", &from), ("to", &to)];
        let lacks = |(name, migration): &(&str, &Option<String>)| {
            migration.is_none() && self.argv(way).iter().any(|argument| placeholders(argument).contains(name))
        };
        if named.iter().any(lacks) {
            let why = Words::new("migration.nameless").with("migration", from.or(to));
            return Err(PlanFault::Refused { target: self.target.clone(), why });
        }
        let argv = self.arguments(way, from.as_ref(), to.as_ref());
        let title = match way {
            Way::Undo => Words::new("migration.title_undo").with("migration", at(from.as_ref())),
            Way::Redo => Words::new("migration.title_redo").with("migration", at(to.as_ref())),
        };
        let spec = Spec { from: from.clone(), to: to.clone(), way, argv: argv.clone() };
        Ok(PlannedStep {
            title: title.with("target", self.target.as_str()),
            target: self.target.clone(),
            locks: Vec::new(),
            from: Some(at(from.as_ref()).to_owned()),
            to: at(to.as_ref()).to_owned(),
            diff: vec![Words::new("step.runs").with("command", shown(&argv))],
            needs: Vec::new(),
            risk: self.risk(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            provider: String::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }

    fn argv(&self, way: Way) -> &[String] {
        match way {
            Way::Undo => &self.undo,
            Way::Redo => self.redo.as_deref().unwrap_or_default(),
        }
    }

    fn arguments(&self, way: Way, from: Option<&String>, to: Option<&String>) -> Vec<String> {
        let to = to.map_or("", String::as_str);
        let filling = Filling { from: from.map(String::as_str), to, target: &self.target };
        self.argv(way).iter().map(|argument| filling.text(argument)).collect()
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        let now = self.arguments(spec.way, spec.from.as_ref(), spec.to.as_ref());
        if spec.argv == now && !now.is_empty() { Ok(spec) } else { Err(reconfigured()) }
    }

    /// The migration that stands last now.
    async fn stands(&self, cx: &StepContext<'_>) -> Result<Option<String>, Words> {
        Ok(self.applied(cx.world, cx.within.min(LOOK)).await?.pop())
    }

    /// The last two applied migrations at least, the oldest first.
    async fn applied(&self, world: &World, within: Duration) -> Result<Vec<String>, Words> {
        let unread = |why: Words| Words::new("migration.unread").with("target", self.target.as_str()).with("why", why);
        let pattern = RegexBuilder::new(&self.applied).multi_line(true).build();
        let pattern = pattern.map_err(|error| unread(Words::verbatim(error.to_string())))?;
        let deadline = Deadline::of_looking(within);
        let run = self.place.run(&self.status, &[("NO_COLOR", "1")], world, deadline, &|_| {}).await;
        let finished = run.map_err(|fault| unread(fault.words()))?;
        match finished.ended {
            Ended::Exit(code) if self.status_exits.contains(&code) => {}
            _ => return Err(unread(complaint(&self.status, &finished, within))),
        }
        let text = format!("{}\n{}", finished.stdout.text, finished.stderr.text);
        let names = pattern.captures_iter(&text).filter_map(|found| Some(found.get(1)?.as_str().trim().to_owned()));
        let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
        // What is kept of a long list is its end, and the end is what counts.
        if names.len() < 2 && finished.stdout.left_out + finished.stderr.left_out > 0 {
            return Err(unread(Words::new("step.printed_too_much")));
        }
        Ok(names)
    }

    /// Whatever the tool says about its end: what it lists afterwards is what counts.
    async fn judged(&self, spec: &Spec, finished: &Finished, cx: &StepContext<'_>) -> StepResult {
        let output = finished.output(MOST_OUTPUT);
        let program = |key| Words::new(key).with("program", spec.argv.first().map(String::as_str));
        if !matches!(finished.ended, Ended::Exit(_)) {
            return StepResult::Unknown { why: complaint(&spec.argv, finished, cx.within), output };
        }
        let ended_well = finished.ended == Ended::Exit(0);
        match self.stands(cx).await {
            Err(why) => StepResult::Unknown { why, output },
            Ok(now) if now == spec.to && ended_well => {
                let note = program("step.program_well").with("took_ms", finished.took.0);
                let note =
                    Words::new("step.both").with("first", self.says("step.is_at", now.as_ref())).with("then", note);
                StepResult::Done { note, output, live: None }
            }
            Ok(now) if now == spec.from && ended_well => {
                let why = self.says("migration.no_effect", now.as_ref());
                StepResult::Failed { why: why.with("program", spec.argv.first().map(String::as_str)), output }
            }
            Ok(now) => {
                let key = if now == spec.from { "step.still_at" } else { "step.is_at" };
                let why = Words::new("step.both").with("first", complaint(&spec.argv, finished, cx.within));
                let why = why.with("then", self.says(key, now.as_ref()));
                // Half a migration is for a person: neither here nor there, or there with an error.
                if now == spec.from { StepResult::Failed { why, output } } else { StepResult::Unknown { why, output } }
            }
        }
    }
}

/// How the tool ended, where that was not well.
fn complaint(argv: &[String], finished: &Finished, within: Duration) -> Words {
    let program = |key| Words::new(key).with("program", argv.first().map(String::as_str));
    match finished.ended {
        Ended::Exit(code) => program("step.program_exit").with("code", code).with("last", finished.last_line()),
        Ended::Signal(signal) => program("step.program_signal").with("signal", signal),
        Ended::Deadline => program("step.program_late").with("within_ms", super::check::millis(within).0),
    }
}
