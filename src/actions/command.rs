//! The team's own programs (row X3, D4, H5): an argument list, never a shell.
//!
//! With a program that plans, the card shows from, to and the change, and nothing runs that was not shown. With a
//! program that checks, a lost end can be settled by looking.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use regex::Regex;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::World;
use super::config::{ConfigFault, fault};
use super::process::{self, Counted, Deadline, Ended, Finished, NotStarted, Program};
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use super::redact::Redactor;
use super::template::{Filling, placeholders};
use crate::incident::approval::{PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// How much of a program's output goes into the timeline, in bytes.
pub const MOST_OUTPUT: usize = 4_000;

/// A program and how to plan and check what it does.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandStep {
    /// What it changes, named so that nothing else can be meant.
    pub target: String,
    /// What it can do to the world; destructive when it is not said, because nobody knows.
    pub risk: Option<Risk>,
    /// The program and its arguments. `{{to}}` and `{{from}}` can be used as whole arguments.
    pub argv: Vec<String>,
    /// What is so afterwards; said by `plan_command` where there is one.
    pub to: Option<String>,
    /// It changes again what an earlier step of the action changed, as a service that was stopped is started: both have
    /// the same target.
    #[serde(default)]
    pub again: bool,
    /// Where and with what it runs.
    #[serde(default)]
    pub place: Place,
    /// A program that only reads and prints `{"from": …, "to": …, "diff": […]}`; any code but 0 means that it
    /// cannot be done, and its last line says why.
    pub plan_command: Option<Vec<String>>,
    /// A program that only reads and ends with 0 when it happened, with 1 when it did not.
    pub check_command: Option<Vec<String>>,
}

/// Where a program runs, and the environment it gets.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The directory.
    pub cwd: Option<PathBuf>,
    /// Variables with values that anybody may see.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Variables with credentials.
    #[serde(default)]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub secrets: BTreeMap<String, SecretString>,
    /// Names of Vigie's own variables that it gets, beside PATH, HOME, USER, LANG, LC_ALL, TZ and TMPDIR.
    #[serde(default)]
    pub pass: Vec<String>,
}

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spec {
    from: Option<String>,
    to: String,
    argv: Vec<String>,
}

/// What a planning program prints.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Printed {
    from: Option<String>,
    to: String,
    #[serde(default)]
    diff: Vec<String>,
}

impl Place {
    pub(super) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if let Some(cwd) = &self.cwd
            && cwd.is_relative()
        {
            faults.push(fault(format!("{path}.cwd"), "write the whole path, beginning with /"));
        }
        for name in self.env.keys().chain(self.secrets.keys()).chain(&self.pass) {
            if name.is_empty() || name.contains(['=', '\0']) {
                faults.push(fault(path, format!("“{name}” is not a variable's name")));
            }
        }
    }

    pub(super) async fn run(
        &self,
        argv: &[String],
        extra: &[(&str, &str)],
        world: &World,
        deadline: Deadline,
        progress: process::Progress<'_>,
    ) -> Result<Finished, NotStarted> {
        process::run(&self.program(argv, extra, world, deadline), &world.redactor, progress).await
    }

    /// Only looks, and counts the lines that match.
    pub(super) async fn count(
        &self,
        argv: &[String],
        pattern: &Regex,
        world: &World,
        deadline: Deadline,
    ) -> Result<(Finished, Counted), NotStarted> {
        process::run_counting(&self.program(argv, &[], world, deadline), &world.redactor, pattern).await
    }

    fn program<'a>(
        &'a self,
        argv: &'a [String],
        extra: &[(&str, &str)],
        world: &World,
        deadline: Deadline,
    ) -> Program<'a> {
        let own = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let secrets = self.secrets.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
        let all = own.chain(secrets).chain(extra.iter().copied());
        let environment = process::environment(&world.environment, &self.pass, all);
        Program { argv, cwd: self.cwd.as_deref(), environment, deadline }
    }
}

#[async_trait]
impl ActionProvider for CommandStep {
    fn target(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.target)
    }

    fn risk(&self) -> Risk {
        self.risk.unwrap_or(Risk::Destructive)
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(5)
    }

    fn takes_up(&self) -> bool {
        self.again
    }

    /// Nobody knows what a program does, but that is what it is there for.
    fn brings_back(&self, _: &PlannedStep) -> bool {
        self.again
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.place.secrets.values().collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let planned = self.plan_command.is_some();
        let known: &[&str] = if planned { &["from", "to"] } else { &["to"] };
        validate_argv(&self.argv, known, &format!("{path}.argv"), faults);
        if let Some(argv) = &self.plan_command {
            validate_argv(argv, &[], &format!("{path}.plan_command"), faults);
        }
        if let Some(argv) = &self.check_command {
            validate_argv(argv, known, &format!("{path}.check_command"), faults);
        }
        if planned == self.to.is_some() {
            let sentence = "say what is so afterwards in exactly one way: to, or a plan_command that prints it";
            faults.push(fault(format!("{path}.to"), sentence));
        }
        if self.again && planned {
            let sentence = "what is so after an earlier step cannot be read beforehand; say to instead of plan_command";
            faults.push(fault(format!("{path}.again"), sentence));
        }
        self.place.validate(&format!("{path}.place"), faults);
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        let printed = self.printed(cx.world, cx.within).await?;
        if printed.from.as_ref() == Some(&printed.to) {
            return Err(PlanFault::AlreadyThere { target: self.target.clone(), to: printed.to });
        }
        let argv = self.arguments(&self.argv, printed.from.as_deref(), &printed.to);
        let mut diff: Vec<Words> = printed.diff.into_iter().map(Words::verbatim).collect();
        diff.push(Words::new("step.runs").with("command", shown(&argv)));
        let title = match &printed.from {
            Some(from) => self.says("step.title_change").with("from", from.as_str()).with("to", printed.to.as_str()),
            None => self.says("step.title_to").with("to", printed.to.as_str()),
        };
        let spec = Spec { from: printed.from.clone(), to: printed.to.clone(), argv };
        Ok(PlannedStep {
            title,
            target: self.target.clone(),
            locks: Vec::new(),
            from: printed.from,
            to: printed.to,
            diff,
            needs: Vec::new(),
            risk: self.risk(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            provider: String::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(found) => return StepResult::stale(found),
        };
        if self.plan_command.is_some() {
            match self.printed(cx.world, cx.within).await {
                Ok(now) if now.from.as_ref() == Some(&spec.to) => {
                    return StepResult::done(self.at("step.already_at", Some(&spec.to)));
                }
                Ok(now) if now.from != spec.from => {
                    return StepResult::stale(self.at("step.is_at", now.from.as_ref()));
                }
                Ok(_) => {}
                Err(PlanFault::AlreadyThere { .. }) => {
                    return StepResult::done(self.at("step.already_at", Some(&spec.to)));
                }
                Err(fault) => return StepResult::unchanged(fault.words()),
            }
        }
        let run = self.with_run(&spec.argv, cx, Deadline::of(cx.within)).await;
        match run {
            Err(fault) => StepResult::unchanged(fault.words()),
            Ok(finished) => self.judged(&finished, cx.within),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        let spec = match self.approved(step) {
            Ok(spec) => spec,
            Err(why) => return Happened::CannotTell { why },
        };
        match &self.check_command {
            Some(argv) => {
                let argv = self.arguments(argv, spec.from.as_deref(), &spec.to);
                happened(self.with_run(&argv, cx, Deadline::of_looking(cx.within.min(CHECK_WITHIN))).await)
            }
            None if self.plan_command.is_some() => self.compared(&spec, cx).await,
            None => Happened::CannotTell { why: self.says("step.no_check_command") },
        }
    }
}

/// How long a checking program may take.
const CHECK_WITHIN: Duration = Duration::from_secs(60);

impl CommandStep {
    /// A sentence about what it changes.
    fn says(&self, key: &'static str) -> Words {
        Words::new(key).with("target", self.target.as_str())
    }

    /// A sentence about where it stands.
    fn at(&self, key: &'static str, at: Option<&String>) -> Words {
        let nothing = || Value::from(Words::new("step.nothing"));
        self.says(key).with("at", at.map_or_else(nothing, |at| Value::from(at.as_str())))
    }

    fn arguments(&self, argv: &[String], from: Option<&str>, to: &str) -> Vec<String> {
        let filling = Filling { from, to, target: &self.target };
        argv.iter().map(|argument| filling.text(argument)).collect()
    }

    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        let now = self.arguments(&self.argv, spec.from.as_deref(), &spec.to);
        if spec.argv == now { Ok(spec) } else { Err(reconfigured()) }
    }

    async fn with_run(
        &self,
        argv: &[String],
        cx: &StepContext<'_>,
        deadline: Deadline,
    ) -> Result<Finished, NotStarted> {
        let (run, step, fence) = (cx.run.to_string(), (cx.step + 1).to_string(), cx.fence.to_string());
        // By the run's name an orphan can be found after a crash (durability, rule 7).
        let extra = [("VIGIE_RUN_ID", run.as_str()), ("VIGIE_STEP", &step), ("VIGIE_FENCE", &fence)];
        let progress = |line: &str| (cx.progress)(Words::verbatim(line));
        self.place.run(argv, &extra, cx.world, deadline, &progress).await
    }

    /// What the planning program prints; the configured `to` where there is none.
    async fn printed(&self, world: &World, within: Duration) -> Result<Printed, PlanFault> {
        let Some(argv) = &self.plan_command else {
            return Ok(Printed { from: None, to: self.to.clone().unwrap_or_default(), diff: Vec::new() });
        };
        let unreadable = |why: Words| PlanFault::Unreadable { target: self.target.clone(), why };
        let run = self.place.run(argv, &[], world, Deadline::of_looking(within), &|_| {}).await;
        let finished = run.map_err(|fault| unreadable(fault.words()))?;
        let last = finished.last_line().map(|line| world.redactor.short(line, 200));
        match finished.ended {
            Ended::Exit(0) if finished.stdout.left_out > 0 => Err(unreadable(Words::new("step.printed_too_much"))),
            Ended::Exit(0) => serde_json::from_str(&finished.stdout.text)
                .map_err(|error| unreadable(Words::new("step.printed_no_plan").with("why", error.to_string()))),
            Ended::Exit(code) => {
                let why = last.map_or_else(|| Words::new("step.planner_exit").with("code", code), Words::verbatim);
                Err(PlanFault::Refused { target: self.target.clone(), why })
            }
            Ended::Signal(signal) => Err(unreadable(Words::new("step.planner_signal").with("signal", signal))),
            Ended::Deadline => Err(unreadable(Words::new("step.planner_late"))),
        }
    }

    fn judged(&self, finished: &Finished, within: Duration) -> StepResult {
        let output = finished.output(MOST_OUTPUT);
        let program = |key| Words::new(key).with("program", self.argv.first().map(String::as_str));
        match finished.ended {
            Ended::Exit(0) => StepResult::Done {
                note: program("step.program_well").with("took_ms", finished.took.0),
                output,
                live: None,
            },
            Ended::Exit(code) => {
                let why = program("step.program_exit").with("code", code).with("last", finished.last_line());
                StepResult::Failed { why, output }
            }
            Ended::Signal(signal) => {
                StepResult::Unknown { why: program("step.program_signal").with("signal", signal), output }
            }
            Ended::Deadline => {
                let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
                StepResult::Unknown { why: program("step.program_late").with("within_ms", within), output }
            }
        }
    }

    async fn compared(&self, spec: &Spec, cx: &StepContext<'_>) -> Happened {
        let from = match self.printed(cx.world, cx.within.min(CHECK_WITHIN)).await {
            Ok(printed) => printed.from,
            Err(PlanFault::AlreadyThere { to, .. }) => Some(to),
            Err(fault) => return Happened::CannotTell { why: fault.words() },
        };
        if from.as_ref() == Some(&spec.to) {
            Happened::Yes { note: self.at("step.is_at", from.as_ref()), live: None }
        } else if from == spec.from {
            Happened::No { note: self.at("step.still_at", from.as_ref()) }
        } else {
            Happened::CannotTell { why: self.at("step.elsewhere", from.as_ref()) }
        }
    }
}

fn happened(run: Result<Finished, NotStarted>) -> Happened {
    let finished = match run {
        Ok(finished) => finished,
        Err(fault) => return Happened::CannotTell { why: fault.words() },
    };
    let says = |key| Words::new(key).with("last", finished.last_line());
    match finished.ended {
        Ended::Exit(0) => Happened::Yes { note: says("step.checker_yes"), live: None },
        Ended::Exit(1) => Happened::No { note: says("step.checker_no") },
        Ended::Exit(code) => Happened::CannotTell { why: says("step.checker_exit").with("code", code) },
        Ended::Signal(signal) => Happened::CannotTell { why: says("step.checker_signal").with("signal", signal) },
        Ended::Deadline => Happened::CannotTell { why: says("step.checker_late") },
    }
}

/// Adds the faults of an argument list: placeholders only as whole arguments, never within the program's name.
pub(super) fn validate_argv(argv: &[String], known: &[&str], path: &str, faults: &mut Vec<ConfigFault>) {
    if argv.first().is_none_or(|program| program.trim().is_empty()) {
        faults.push(fault(path, "name a program; write for example [npm, run, \"test:critical\"]"));
    }
    let all = shown(argv);
    if Redactor::default().text(&all) != all {
        faults.push(fault(path, "credentials do not belong into arguments, which people see; use place.secrets"));
    }
    for (index, argument) in argv.iter().enumerate() {
        let names = placeholders(argument);
        let (path, whole) = (format!("{path}[{index}]"), argument.starts_with("{{") && argument.ends_with("}}"));
        if names.is_empty() {
            continue;
        }
        if index == 0 || names.len() > 1 || !whole {
            faults.push(fault(path, "a placeholder is one whole argument, and never the program"));
        } else if let Some(sentence) = super::template::unknown(&names, known) {
            faults.push(fault(path, sentence));
        }
    }
}

/// For people: arguments with blanks or nothing in them are quoted.
pub(super) fn shown(argv: &[String]) -> String {
    let quoted = |argument: &String| {
        if argument.is_empty() || argument.contains(char::is_whitespace) {
            format!("'{argument}'")
        } else {
            argument.clone()
        }
    };
    argv.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
