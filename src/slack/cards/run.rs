//! The run card: a plan, then its approvals, then its run, then its result, in one message (P3–P7).

use serde_json::{Value, json};

use super::blocks::{Button, Choice, Confirm, Part, told};
use super::markup::Mrkdwn;
use super::pen::{Pen, Said, headline};
use super::steps::Step;
use super::{plan, progress};
use crate::incident::approval::Outcome;
use crate::incident::command::quote;
use crate::incident::id::RunId;
use crate::incident::state::{Incident, Phase, Run, Status};
use crate::slack::scene::{Drawn, Scene};

pub(super) fn draw(scene: &Scene<'_>, incident: &Incident, run: &Run) -> Said<Drawn> {
    let pen = Pen::for_channel(scene, incident);
    let vars = json!({"title": title(run), "drill": incident.drill});
    let key = format!("run.header.{}", phase_word(run));
    let mut parts = vec![Part::Header(pen.plain(&key, vars.clone())?)];
    parts.extend(body(&pen, incident, run)?);
    parts.push(Part::Small(plan::origin(&pen, run)?));
    parts.push(row(&pen, incident, run)?);
    let line = pen.say(&key, vars)?;
    Ok(told([headline(&pen, incident)?, line, plan::change(&pen, run)?], parts))
}

fn body(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said<Vec<Part>> {
    let said = |key: &str, vars: Value| -> Said<Vec<Part>> { Ok(vec![Part::Text(pen.say(key, vars)?)]) };
    match &run.phase {
        Phase::Planning => said("run.planning", json!({})),
        Phase::PlanFailed { why } => said("run.plan_failed", json!({"why": why})),
        Phase::Pending | Phase::Rehearsed => plan::to_approve(pen, run),
        Phase::Announcing { .. } => progress::announcing(pen, run),
        Phase::Released | Phase::Running | Phase::Verifying => progress::live(pen, run),
        Phase::Finished { outcome } => progress::result(pen, (incident, run), outcome),
        Phase::Rejected { mark, reason } => {
            let vars = json!({"who": pen.actor(&mark.by), "at": mark.at.0, "reason": reason});
            let line = pen.say("run.rejected", vars)?;
            Ok(vec![Part::Text(Mrkdwn::join([plan::change(pen, run)?, line], "\n"))])
        }
        Phase::Expired => {
            let line = pen.say("run.expired", json!({"expired_at": run.expires_at.map(|at| at.0)}))?;
            Ok(vec![Part::Text(Mrkdwn::join([plan::change(pen, run)?, line], "\n"))])
        }
    }
}

/// What people call it: the plan's title once there is a plan.
pub(super) fn title(run: &Run) -> &str {
    run.plan.as_ref().map_or(&run.action.title, |plan| &plan.title)
}

/// Where it is, as the end of a label key.
pub(super) fn phase_word(run: &Run) -> &'static str {
    match &run.phase {
        Phase::Planning => "planning",
        Phase::PlanFailed { .. } => "plan_failed",
        Phase::Pending => "pending",
        Phase::Announcing { .. } => "announcing",
        Phase::Released | Phase::Running => "running",
        Phase::Verifying => "verifying",
        Phase::Finished { outcome: Outcome::Unknown { .. } } => match run.settled {
            Some(true) if run.went_well() => "happened",
            Some(true) => "partly",
            Some(false) => "not_happened",
            None => "unknown",
        },
        Phase::Finished { outcome } => outcome_word(outcome),
        Phase::Rejected { .. } => "rejected",
        Phase::Expired => "expired",
        Phase::Rehearsed => "rehearsed",
    }
}

/// How it ended, as the end of a label key.
pub(super) const fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Stale { .. } => "stale",
        Outcome::Failed { .. } => "failed",
        Outcome::Unknown { .. } => "unknown",
        Outcome::Stopped { .. } => "stopped",
    }
}

fn row(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said<Part> {
    let open = incident.status.is_open();
    let is_unsettled =
        matches!(run.phase, Phase::Finished { outcome: Outcome::Unknown { .. } }) && run.settled.is_none();
    if open && run.ended_badly() && !is_unsettled {
        return after_failure(pen, incident, run);
    }
    let buttons = match &run.phase {
        Phase::Planning | Phase::Verifying => vec![],
        Phase::Rehearsed if open => {
            let again = Button::new("again", pen.word("button.plan_for_real")?, again_line(run)).primary();
            [again].into_iter().chain(plan::whole_button(pen, run)?).collect()
        }
        Phase::Pending if open => {
            let approve = match plan::override_window(pen, run)? {
                Some(button) => button,
                None => plan::approve(pen, run)?,
            };
            let more = [plan::whole_button(pen, run)?, plan::files(pen, run)?];
            [approve, reject(pen, run)?].into_iter().chain(more.into_iter().flatten()).collect()
        }
        Phase::Announcing { .. } | Phase::Released | Phase::Running if !run.stop_asked => vec![stop(pen, run)?],
        Phase::Finished { .. } if is_unsettled => settle(pen, run)?,
        Phase::Finished { .. } if run.went_well() => after_success(pen, incident, run)?,
        Phase::Finished { outcome: Outcome::Stale { .. } } if replaced_by(incident, run).is_some() => vec![],
        Phase::PlanFailed { .. } | Phase::Finished { .. } | Phase::Rejected { .. } | Phase::Expired if open => {
            vec![
                again(pen, run)?.primary(),
                Step::Update.button(pen, incident.id)?,
                Step::Diagnose.button(pen, incident.id)?,
            ]
        }
        _ => vec![],
    };
    Ok(Part::Row(buttons, vec![]))
}

/// The run whose plan was asked for in its place already.
pub(super) fn replaced_by(incident: &Incident, run: &Run) -> Option<RunId> {
    incident.runs.values().find(|other| other.request.after == Some(run.id)).map(|other| other.id)
}

fn reject(pen: &Pen<'_>, run: &Run) -> Said<Button> {
    Ok(Button::new("reject", pen.word("button.reject")?, format!("reject {}", run.id)))
}

fn stop(pen: &Pen<'_>, run: &Run) -> Said<Button> {
    let confirm = Confirm {
        title: pen.word("confirm.stop.title")?,
        text: pen.plain("confirm.stop.text", json!({"title": title(run)}))?,
        yes: pen.word("button.stop")?,
        no: pen.word("button.back")?,
        danger: true,
    };
    let button = Button::new("stop", pen.word("button.stop")?, format!("stop {}", run.id));
    Ok(button.asking(confirm))
}

/// What people can do about a run that did not work (P7); the rest stands in the menu.
fn after_failure(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said<Part> {
    let at_a_step = !matches!(run.phase, Phase::Finished { outcome: Outcome::Failed { step: None, .. } });
    let confirm = Confirm {
        title: pen.word("confirm.retry.title")?,
        text: pen.plain("confirm.retry.text", json!({"title": title(run)}))?,
        yes: pen.word("button.retry")?,
        no: pen.word("button.back")?,
        danger: true,
    };
    let retry = Button::new("retry", pen.word("button.retry")?, format!("retry {}", run.id));
    let mut buttons = Vec::new();
    let goes_on = run.goes_on_with().is_some();
    if goes_on {
        buttons.push(retry.primary().asking(confirm));
    }
    if goes_on && at_a_step {
        buttons.push(Button::new("skip", pen.word("button.skip")?, format!("skip {}", run.id)));
    }
    if run.can_be_undone() {
        buttons.push(undo(pen, run)?);
    }
    buttons.push(Button::new("hand_over", pen.word("button.hand_over")?, format!("handover {}", run.id)));
    let mut menu = vec![
        Choice::new(pen.word("button.plan_again")?, again_line(run)),
        Step::Update.choice(pen, incident.id)?,
        Step::Diagnose.choice(pen, incident.id)?,
    ];
    if run.kept.as_ref().is_some_and(|kept| !kept.files.is_empty()) {
        menu.push(Choice::new(pen.word("button.files")?, format!("files {}", run.id)));
    }
    Ok(Part::Row(buttons, menu))
}

/// What it did is taken back, by a plan of its own.
fn undo(pen: &Pen<'_>, run: &Run) -> Said<Button> {
    Ok(Button::new("undo", pen.word("button.undo")?, format!("undo {}", run.id)))
}

/// A new plan of the same action.
fn again(pen: &Pen<'_>, run: &Run) -> Said<Button> {
    Ok(Button::new("again", pen.word("button.plan_again")?, again_line(run)))
}

fn again_line(run: &Run) -> String {
    if let Some(undone) = run.request.undo_of {
        return format!("undo {undone}");
    }
    let to = run.request.to.as_deref().map(|to| format!(" --to {}", quote(to))).unwrap_or_default();
    format!("run --in {} {}{to}", run.id.incident, run.action.key)
}

/// A person looked and says what they saw: both answers unlock the target, so both are asked back.
fn settle(pen: &Pen<'_>, run: &Run) -> Said<Vec<Button>> {
    let truths = [("happened", "button.happened"), ("not-happened", "button.not_happened")];
    let buttons = truths.into_iter().map(|(truth, label)| {
        let word = pen.word(label)?;
        let confirm = Confirm {
            title: pen.word("confirm.settle.title")?,
            text: pen.plain("confirm.settle.text", json!({"truth": word, "title": title(run)}))?,
            yes: word.clone(),
            no: pen.word("button.back")?,
            danger: false,
        };
        Ok(Button::new(truth, word, format!("settle {} {truth}", run.id)).asking(confirm))
    });
    buttons.collect()
}

/// After a rollback customers are told (P3); users may be well again.
fn after_success(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said<Vec<Button>> {
    let mut buttons = vec![tell(pen, incident, run)?];
    if matches!(incident.status, Status::Triggered | Status::Acknowledged) {
        buttons.push(Step::Mitigate.button(pen, incident.id)?);
    }
    if incident.status.is_open() && run.can_be_undone() {
        buttons.push(undo(pen, run)?);
    }
    if incident.status.is_open() {
        buttons.push(Step::Diagnose.button(pen, incident.id)?);
    }
    buttons.extend(plan::files(pen, run)?);
    Ok(buttons)
}

/// Tell customers after a rollback, where there are customers to tell; else tell the team.
fn tell(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said<Button> {
    let step = if tells_customers(pen, run) { Step::TellCustomers } else { Step::Update };
    Ok(step.button(pen, incident.id)?.primary())
}

/// The run changed what customers see, and there is somebody to tell.
pub(super) fn tells_customers(pen: &Pen<'_>, run: &Run) -> bool {
    run.action.is_rollback && run.went_well() && !pen.rules.audiences.customer.is_empty()
}
