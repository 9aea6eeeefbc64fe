//! A run while it runs and when it has ended: steps, verification, result (P2, P7).

use serde_json::{Value, json};

use super::blocks::{Part, lines};
use super::diagnostic;
use super::markup::Mrkdwn;
use super::pen::{Pen, Said};
use super::plan;
use crate::incident::approval::{ActionPlan, Outcome, PlannedStep};
use crate::incident::state::{Incident, Phase, Run};
use crate::incident::words::Words;

/// Approved; the channel is being told before anything is changed.
pub(super) fn announcing(pen: &Pen<'_>, run: &Run) -> Said<Vec<Part>> {
    let said = vec![
        plan::change(pen, run)?,
        approved_by(pen, run)?,
        pen.say("run.announcing", json!({}))?,
        stopping(pen, run)?,
    ];
    Ok(vec![Part::Text(Mrkdwn::join(said, "\n"))])
}

/// Being executed or verified.
pub(super) fn live(pen: &Pen<'_>, run: &Run) -> Said<Vec<Part>> {
    let head = Mrkdwn::join([plan::change(pen, run)?, approved_by(pen, run)?, stopping(pen, run)?], "\n");
    let mut parts = vec![Part::Text(head)];
    parts.extend(lines(steps(pen, run, None)?));
    if matches!(run.phase, Phase::Verifying) || !run.verification.is_empty() {
        parts.extend(verification(pen, run)?);
    }
    parts.extend(plan::checklist(pen, run)?);
    Ok(parts)
}

/// How it ended.
pub(super) fn result(pen: &Pen<'_>, (incident, run): (&Incident, &Run), outcome: &Outcome) -> Said<Vec<Part>> {
    let said = match outcome {
        Outcome::Unknown { why, .. } if run.settled.is_some() => settled(pen, run, why)?,
        _ => result_line(pen, (incident, run), outcome)?,
    };
    let kept = if run.kept.is_some() || run.without_state { plan::kept(pen, run)? } else { Mrkdwn::default() };
    let head = vec![said, approved_by(pen, run)?, handed_to(pen, run)?, kept];
    let mut parts = vec![Part::Text(Mrkdwn::join(head, "\n"))];
    parts.extend(lines(steps(pen, run, Some(outcome))?));
    if !run.verification.is_empty() {
        parts.extend(verification(pen, run)?);
    }
    let output = run.output.as_ref().or_else(|| run.steps.last().and_then(|step| step.output.as_ref()));
    parts.extend(output.map(|output| Part::Output(output.clone())));
    parts.extend(plan::checklist(pen, run)?);
    Ok(parts)
}

/// `Done in 41 s: the shop is at v1.2.3 again`.
pub(super) fn result_line(pen: &Pen<'_>, (incident, run): (&Incident, &Run), outcome: &Outcome) -> Said {
    let planned = run.plan.as_ref().map(|plan| plan.steps.as_slice()).unwrap_or_default();
    let at = |step: usize| planned.get(step);
    let mut vars = json!({
        "title": super::run::title(run),
        "to": run.live(),
        "took_ms": took_ms(run),
        "steps": planned.len(),
        "step": null, "step_title": null, "target": null, "expected": null, "found": null, "why": null, "done": null,
        "next": super::run::replaced_by(incident, run).map(|next| next.to_string()),
    });
    let mut set = |name: &str, value: Value| vars[name] = value;
    match outcome {
        Outcome::Done => {}
        Outcome::Stale { step, found } => {
            set("step", json!(step + 1));
            set("done", json!(step));
            set("expected", json!(at(*step).and_then(|step| step.from.as_ref())));
            set("found", json!(found));
        }
        Outcome::Failed { step, why } => {
            set("step", json!(step.map(|step| step + 1)));
            set("step_title", json!(step.and_then(at).map(|step| &step.title)));
            set("why", json!(why));
        }
        Outcome::Unknown { step, why } => {
            set("step", json!(step + 1));
            set("step_title", json!(at(*step).map(|step| &step.title)));
            set("target", json!(at(*step).map(|step| &step.target)));
            set("why", json!(why));
        }
        Outcome::Stopped { done } => set("done", json!(done)),
    }
    pen.say(&format!("run.result.{}", super::run::outcome_word(outcome)), vars)
}

/// From the first step to the end.
pub(super) fn took_ms(run: &Run) -> i64 {
    match (run.started_at, run.ended_at) {
        (Some(started), Some(ended)) => ended.since(started).0,
        _ => 0,
    }
}

/// Who looked, when nobody knew, and what they saw; where there is something left to do, also what was known before.
fn settled(pen: &Pen<'_>, run: &Run, why: &Words) -> Said {
    let who = run.settled_by.as_ref().map(|mark| pen.actor(&mark.by));
    let before = (!run.went_well()).then_some(why);
    pen.say("run.settled", json!({"happened": run.settled, "who": who, "before": before}))
}

fn approved_by(pen: &Pen<'_>, run: &Run) -> Said {
    if run.approvals.is_empty() {
        return Ok(Mrkdwn::default());
    }
    let who: Vec<Value> = run.approvals.iter().map(|approval| pen.actor(&approval.by)).collect();
    let glass = match &run.glass {
        Some((mark, reason)) => pen.say("run.glass", json!({"who": pen.actor(&mark.by), "reason": reason}))?,
        None => Mrkdwn::default(),
    };
    Ok(Mrkdwn::join([pen.say("run.approved_by", json!({"who": who}))?, glass], "\n"))
}

fn handed_to(pen: &Pen<'_>, run: &Run) -> Said {
    let Some(handed) = &run.handed_to else { return Ok(Mrkdwn::default()) };
    let who = json!({"id": handed.user.as_ref().map(|user| &user.0), "name": handed.name});
    pen.say("run.handed_to", json!({"who": who, "by": pen.actor(&handed.mark.by), "at": handed.mark.at.0}))
}

fn stopping(pen: &Pen<'_>, run: &Run) -> Said {
    if run.stop_asked { pen.say("run.stopping", json!({})) } else { Ok(Mrkdwn::default()) }
}

/// Every step: done, running, to come; after the end also the one it ended at.
fn steps(pen: &Pen<'_>, run: &Run, outcome: Option<&Outcome>) -> Said<Vec<Mrkdwn>> {
    let planned = run.plan.as_ref().map(|plan: &ActionPlan| plan.steps.as_slice()).unwrap_or_default();
    let mut lines = Vec::with_capacity(planned.len() + 1);
    for (place, step) in planned.iter().enumerate() {
        lines.extend(phase(pen, run, place)?);
        lines.push(step_line(pen, run, (place, step), outcome)?);
        if let Some(now) = run.now(pen.progress).filter(|now| now.step == place) {
            let vars = json!({"now": pen.told(&now.words)?});
            lines.push(pen.say("run.step.now", vars)?);
        }
    }
    Ok(lines)
}

/// The phase that begins with this step: its budget, and how much of it is used.
fn phase(pen: &Pen<'_>, run: &Run, place: usize) -> Said<Option<Mrkdwn>> {
    let phases = run.plan.as_ref().map(|plan| plan.phases.as_slice()).unwrap_or_default();
    let begins = phases.iter().enumerate().find(|(_, phase)| phase.first == place);
    let Some((at, phase)) = begins else { return Ok(None) };
    let mut vars = plan::phase_vars(phase);
    let Some((used, is_over)) = run.phase_used(at, pen.now) else { return pen.say("plan.phase", vars).map(Some) };
    vars["used_ms"] = json!(used.0);
    vars["late"] = json!(used > phase.within);
    // The card of one that goes on is read later than it is written.
    vars["until_at"] = json!((pen.now - used + phase.within).0);
    pen.say(if is_over { "run.phase.over" } else { "run.phase.running" }, vars).map(Some)
}

fn step_line(pen: &Pen<'_>, run: &Run, (place, planned): (usize, &PlannedStep), outcome: Option<&Outcome>) -> Said {
    let state = run.steps.get(place);
    let halted = run.halted.as_ref().map(|halt| &halt.outcome);
    let done = state.and_then(|state| state.done.as_ref());
    let ended_here = match outcome.or(halted) {
        Some(Outcome::Failed { step: Some(step), .. }) if *step == place => Some("failed"),
        // Whoever looked has said whether it is done.
        Some(Outcome::Unknown { step, .. }) if *step == place && run.settled.is_none() => Some("unknown"),
        Some(Outcome::Stale { step, .. }) if *step == place => Some("stale"),
        _ => state.filter(|state| state.halted).map(|_| "failed"),
    };
    let skipped = state.and_then(|state| state.skipped.as_ref());
    if let Some((mark, reason)) = skipped {
        let vars = json!({"title": planned.title, "who": pen.actor(&mark.by), "reason": reason});
        return pen.say("run.step.skipped", vars);
    }
    let word = match (ended_here, done, state, outcome) {
        (Some(word), ..) => word,
        (None, Some(_), ..) => "done",
        (None, None, Some(state), None) if !state.left_out => "running",
        (None, None, None, None) if halted.is_none() || planned.always => "to_come",
        (None, None, ..) => "not_done",
    };
    let vars = json!({
        "title": planned.title,
        "note": done.map(|(note, _)| note),
        "took_ms": done.map(|(_, took)| took.0),
        "started_at": state.map(|state| state.started_at.0),
    });
    pen.say(&format!("run.step.{word}"), vars)
}

/// The verification plan, ticking (P2).
fn verification(pen: &Pen<'_>, run: &Run) -> Said<Vec<Part>> {
    let planned = run.plan.as_ref().map(|plan| plan.verification.as_slice()).unwrap_or_default();
    let waiting = planned.iter().filter(|check| !run.verification.iter().any(|seen| seen.check == check.check));
    let mut all = vec![pen.say("run.verification", json!({}))?];
    for seen in &run.verification {
        all.push(diagnostic::line(pen, seen)?);
    }
    for check in waiting {
        let key = if run.ended_at.is_some() { "run.check_not_run" } else { "run.check_to_come" };
        all.push(pen.say(key, json!({"title": check.title}))?);
    }
    Ok(lines(all))
}
