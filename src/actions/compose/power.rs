//! A service's containers are stopped and started again; they stay the same containers.

use serde::{Deserialize, Serialize};

use super::Compose;
use super::engine::{CameUp, Container, Engine};
use crate::actions::command::MOST_OUTPUT;
use crate::actions::process::Ended;
use crate::actions::provider::{
    ActionProvider as _, Happened, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::PlannedStep;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spec {
    /// Whether they shall run.
    on: bool,
    /// The containers.
    ids: Vec<String>,
    running: usize,
    /// It takes back what the configuration says.
    is_back: bool,
}

fn ids(containers: &[Container]) -> Vec<String> {
    let mut ids: Vec<String> = containers.iter().map(|container| container.id.clone()).collect();
    ids.sort();
    ids
}

fn running(containers: &[Container]) -> usize {
    containers.iter().filter(|container| container.is_running()).count()
}

fn shown(running: usize) -> String {
    format!("running={running}")
}

pub(super) async fn plan(
    config: &Compose,
    engine: &Engine<'_>,
    on: bool,
    is_back: bool,
    earlier: &[PlannedStep],
) -> Result<PlannedStep, PlanFault> {
    let containers = engine.containers().await.map_err(|why| config.unreadable(why))?;
    if containers.is_empty() {
        return Err(config.refused(config.says("compose.no_container")));
    }
    // What an earlier step of the same plan has stopped by then does not run.
    let is_stopped = earlier.iter().rev().find(|step| step.locks == config.locks()).is_some_and(stops);
    let running = if is_stopped { 0 } else { running(&containers) };
    let wanted = if on { containers.len() } else { 0 };
    if running == wanted {
        let target = format!("{} ({})", config.service, config.project);
        return Err(PlanFault::AlreadyThere { target, to: shown(wanted) });
    }
    let title = config.says(if on { "compose.title_start" } else { "compose.title_stop" });
    let diff = containers.iter().map(|one| Words::verbatim(format!("{} {}", one.id.get(..12).unwrap_or(""), one.name)));
    let spec = Spec { on, ids: ids(&containers), running, is_back };
    let spec = serde_json::to_value(&spec).unwrap_or_default();
    Ok(config.step(title, shown(running), shown(wanted), diff.collect(), spec))
}

/// It is a step that stops a service's containers.
pub(super) fn stops(step: &PlannedStep) -> bool {
    spec_of::<Spec>(step).is_ok_and(|spec| !spec.on)
}

/// The approved facts, if today's configuration still means the same.
fn approved(config: &Compose, step: &PlannedStep) -> Result<Spec, Words> {
    let spec: Spec = spec_of(step)?;
    let meant = if spec.is_back { config.stop.is_some() } else { config.start.is_some() };
    if spec.on == meant { Ok(spec) } else { Err(reconfigured()) }
}

pub(super) async fn execute(
    config: &Compose,
    engine: &Engine<'_>,
    step: &PlannedStep,
    cx: &StepContext<'_>,
) -> StepResult {
    let spec = match approved(config, step) {
        Ok(spec) => spec,
        Err(found) => return StepResult::stale(found),
    };
    let containers = match engine.containers().await {
        Ok(containers) => containers,
        Err(why) => return StepResult::unchanged(why),
    };
    if ids(&containers) != spec.ids {
        return StepResult::stale(config.says("compose.other_containers"));
    }
    let grace = config.stop.as_ref().and_then(|stop| stop.grace).unwrap_or(Millis::seconds(20));
    let grace = (grace.0 / 1000).max(0).to_string();
    let arguments: &[&str] =
        if spec.on { &["start", &config.service] } else { &["stop", "-t", &grace, &config.service] };
    let finished = match engine.compose(arguments).await {
        Ok(finished) => finished,
        Err(why) => return StepResult::unchanged(why),
    };
    let output = finished.output(MOST_OUTPUT);
    match finished.ended {
        Ended::Exit(0) => {}
        Ended::Exit(_) => {
            let why = config.says("compose.up_failed").with("said", engine.last(&finished));
            return StepResult::Failed { why, output };
        }
        Ended::Signal(_) | Ended::Deadline => {
            return StepResult::Unknown { why: config.says("compose.up_cut_off"), output };
        }
    }
    if spec.on {
        return match engine.came_up((None, spec.ids.len()), &containers, cx).await {
            CameUp::Well => StepResult::done(count(config, spec.ids.len())),
            CameUp::Not { why, log } => StepResult::Failed { why, output: log },
            CameUp::Unseen(why) => StepResult::unknown(why),
        };
    }
    match engine.containers().await {
        Ok(now) if running(&now) == 0 => StepResult::done(count(config, 0)),
        Ok(now) => StepResult::Failed { why: count(config, running(&now)), output },
        Err(why) => StepResult::unknown(why),
    }
}

fn count(config: &Compose, count: usize) -> Words {
    config.says("compose.running").with("count", count)
}

pub(super) async fn check(config: &Compose, engine: &Engine<'_>, step: &PlannedStep) -> Happened {
    let spec = match approved(config, step) {
        Ok(spec) => spec,
        Err(why) => return Happened::CannotTell { why },
    };
    let containers = match engine.containers().await {
        Ok(containers) => containers,
        Err(why) => return Happened::CannotTell { why },
    };
    let now = running(&containers);
    let note = count(config, now);
    if ids(&containers) != spec.ids {
        return Happened::CannotTell { why: config.says("compose.other_containers") };
    }
    match (spec.on, now) {
        (false, 0) => Happened::Yes { note, live: None },
        (true, _) if containers.iter().all(Container::is_healthy) => Happened::Yes { note, live: None },
        (_, now) if now == spec.running => Happened::No { note },
        _ => Happened::Begun { note },
    }
}
