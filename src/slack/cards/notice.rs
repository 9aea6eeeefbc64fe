//! A message that tells of one timeline entry and is not edited afterwards (P3, M4, M5).

use serde_json::{Value, json};

use super::blocks::{Part, told};
use super::facts::{self, Medium};
use super::markup::Mrkdwn;
use super::pen::{Pen, Said, headline, message_vars};
use super::steps::{self, Step};
use super::{plan, progress, sheets};
use crate::incident::approval::{CheckResult, Outcome};
use crate::incident::id::RunId;
use crate::incident::state::{Incident, Phase, Run, Status, StepState};
use crate::incident::timeline::{Entry, Fact};
use crate::incident::words::Words;
use crate::slack::scene::{Drawn, Scene};

pub(super) fn draw(scene: &Scene<'_>, incident: &Incident, seq: u64) -> Said<Option<Drawn>> {
    let Some(entry) = scene.timeline.iter().find(|entry| entry.seq == seq) else {
        return Ok(None);
    };
    let pen = Pen::for_channel(scene, incident);
    if let Fact::ChannelOpened { .. } = &entry.fact {
        return proposals(&pen, incident).map(Some);
    }
    let run = |id: &RunId| incident.runs.get(id);
    let text = match &entry.fact {
        Fact::Approved { run: id, .. } => match run(id).filter(|run| run.action.is_rollback) {
            Some(run) => rollback_begins(&pen, incident, run)?,
            None => plain(scene, &pen, entry)?,
        },
        Fact::RunFinished { run: id, outcome, .. } => match run(id) {
            Some(run) => run_ended(&pen, incident, run, outcome)?,
            None => plain(scene, &pen, entry)?,
        },
        Fact::Escalated { .. } => {
            let people = paged_with(scene, entry);
            let paged =
                if people.is_empty() { Mrkdwn::default() } else { pen.say("notice.paged", json!({"who": people}))? };
            Mrkdwn::join([plain(scene, &pen, entry)?, paged], "\n")
        }
        Fact::Resolved { .. } if incident.severity.postmortem_required => {
            Mrkdwn::join([plain(scene, &pen, entry)?, pen.say("notice.postmortem_required", json!({}))?], "\n")
        }
        _ => plain(scene, &pen, entry)?,
    };
    let steps = next_steps(&pen, incident, &entry.fact);
    let mut parts = vec![Part::Text(text.clone())];
    parts.push(steps::of_steps(&pen, incident.id, &steps, &[])?);
    Ok(Some(told([headline(&pen, incident)?, text], parts)))
}

/// What the severity proposes; each button asks for a plan, and nothing runs before that is approved.
fn proposals(pen: &Pen<'_>, incident: &Incident) -> Said<Drawn> {
    let text = pen.say("notice.proposed", json!({"severity": incident.severity.label}))?;
    let mut parts = vec![Part::Text(text.clone())];
    for action in pen.rules.proposed(incident).into_iter().take(sheets::SHOWN) {
        parts.push(sheets::action_line(pen, incident, action)?);
    }
    Ok(told([headline(pen, incident)?, text], parts))
}

/// The entry's own line, with a mark before it.
fn plain(scene: &Scene<'_>, pen: &Pen<'_>, entry: &Entry) -> Said {
    let line = facts::line(scene, pen.locale, entry, Medium::Slack)?;
    Ok(Mrkdwn::join([Mrkdwn::made(emoji(&entry.fact)), Mrkdwn::made(line)], " "))
}

const fn emoji(fact: &Fact) -> &'static str {
    match fact {
        Fact::Declared { .. } | Fact::LadderExhausted | Fact::GlassBroken { .. } => "🚨",
        Fact::Escalated { .. } | Fact::Paged { .. } => "📟",
        Fact::Acknowledged => "👀",
        Fact::SeverityChanged { .. } => "📶",
        Fact::RoleAssigned { .. } => "🧭",
        Fact::Approved { .. } | Fact::RunResumed { .. } => "📣",
        Fact::HandedOver { .. } => "🤝",
        Fact::Mitigated { .. } => "🩹",
        Fact::Resolved { .. } => "✅",
        Fact::Reopened { .. } => "🔁",
        Fact::Cancelled { .. } => "🚫",
        Fact::PageFailed { .. } | Fact::ChatFailed { .. } | Fact::TextFailed { .. } | Fact::Fault { .. } => "⚠️",
        _ => "📝",
    }
}

/// The people of an escalation: those paged in the same breath.
fn paged_with(scene: &Scene<'_>, escalated: &Entry) -> Vec<Value> {
    let after = scene.timeline.iter().skip_while(|entry| entry.seq <= escalated.seq);
    let mut people: Vec<Value> = Vec::new();
    for entry in after.take_while(|entry| entry.at == escalated.at) {
        let Fact::Paged { contact, .. } = &entry.fact else { break };
        let person = Pen::contact(contact);
        if !people.contains(&person) {
            people.push(person);
        }
    }
    people
}

/// M4: said before the first step that changes something.
fn rollback_begins(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said {
    match begin_vars(pen, incident, run)? {
        Some(vars) => pen.message("internal_rollback_in_progress", &vars),
        None => pen.say("run.announcing", json!({})),
    }
}

/// The same as plain text, for the audiences beside the channel: that it begins, or how it ended, whatever the end. Nothing of
/// a run that is no rollback, or as long as nobody knows the end of it.
///
/// # Errors
/// When a template is missing or lacks a variable.
pub fn of_rollback(pen: &Pen<'_>, incident: &Incident, run: &Run, ended: bool) -> Said<Option<String>> {
    let (name, mut vars) = match &run.phase {
        _ if !ended => match begin_vars(pen, incident, run)? {
            Some(vars) => ("internal_rollback_in_progress", vars),
            None => return Ok(None),
        },
        Phase::Finished { outcome } => match told_end(pen, incident, run, outcome)? {
            Some(found) => found,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    // Whoever reads it is somewhere else.
    vars["link"] = json!(pen.link(incident));
    pen.render.plain(pen.locale, name, &vars).map(Some)
}

fn begin_vars(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said<Option<Value>> {
    let Some(planned) = &run.plan else { return Ok(None) };
    let (from, to) = planned.from_to();
    let approved: Vec<Value> = run.approvals.iter().map(|approval| pen.actor(&approval.by)).collect();
    let mut vars = run_vars(pen, incident, run);
    vars["plan_title"] = json!(planned.title);
    vars["version_from"] = json!(from);
    vars["version_to"] = json!(to);
    vars["reason"] = json!(reason(pen, &planned.why)?);
    vars["class"] = json!(plan::class_word(planned.class));
    vars["expected_ms"] = json!(planned.expected.0);
    vars["requested_by"] = pen.actor(&run.asked.by);
    vars["approved_by"] = json!(approved);
    Ok(Some(vars))
}

/// M5: said when it has ended, well or not.
fn run_ended(pen: &Pen<'_>, incident: &Incident, run: &Run, outcome: &Outcome) -> Said {
    if let Some((name, vars)) = end_vars(pen, incident, run, outcome)? {
        return pen.message(name, &vars);
    }
    let mark = if *outcome == Outcome::Done { "✅" } else { "⚠️" };
    Ok(Mrkdwn::join([Mrkdwn::made(mark), progress::result_line(pen, (incident, run), outcome)?], " "))
}

/// The message about a rollback that has ended well or failed, by its name.
fn end_vars(pen: &Pen<'_>, incident: &Incident, run: &Run, outcome: &Outcome) -> Said<Option<(&'static str, Value)>> {
    match outcome {
        Outcome::Done if run.action.is_rollback => {
            let seen = run.verification.iter().map(|result| seen(pen, result)).collect::<Said<Vec<_>>>()?;
            ended_well(pen, incident, run, &seen).map(Some)
        }
        Outcome::Failed { step, why } if run.action.is_rollback => {
            let title = step.and_then(|step| run.plan.as_ref()?.steps.get(step)).map(|step| &step.title);
            let failed = title.map_or_else(|| pen.word("step_name.verification"), |title| pen.told(title))?;
            let choices = choices(pen, run, step.is_some())?;
            stopped(pen, incident, run, (*step, Some(failed)), (why.clone(), choices)).map(Some)
        }
        _ => Ok(None),
    }
}

/// The same for whoever is not in the channel, and hears nothing else of how it ended.
fn told_end(pen: &Pen<'_>, incident: &Incident, run: &Run, outcome: &Outcome) -> Said<Option<(&'static str, Value)>> {
    if !run.action.is_rollback {
        return Ok(None);
    }
    let title = |step: usize| -> Said<Option<String>> {
        let planned = run.plan.as_ref().and_then(|plan| plan.steps.get(step));
        planned.map(|step| pen.told(&step.title)).transpose()
    };
    match outcome {
        Outcome::Stopped { .. } => {
            let why = (Words::new("notice.stopped_by_hand"), choices(pen, run, true)?);
            stopped(pen, incident, run, (None, None), why).map(Some)
        }
        Outcome::Stale { step, found } => {
            let why = Words::new("notice.moved").with("found", found.clone());
            stopped(pen, incident, run, (Some(*step), title(*step)?), (why, new_plan(pen, incident, run)?)).map(Some)
        }
        Outcome::Unknown { step, why } => match &run.settled_by {
            None => Ok(None),
            Some(mark) => {
                let happened = run.settled == Some(true);
                let vars = json!({"who": pen.actor(&mark.by), "happened": happened});
                if run.went_well() {
                    return ended_well(pen, incident, run, &[pen.plain("notice.seen_by_hand", vars)?]).map(Some);
                }
                let Value::Object(mut vars) = vars else { return Ok(None) };
                vars.insert("before".to_owned(), Value::Null);
                let looked = Words { key: "run.settled".to_owned(), vars };
                let why = Words::new("step.both").with("first", why.clone()).with("then", looked);
                let choices = choices(pen, run, true)?;
                // What is done was not what failed.
                let ended_at = if happened { (None, None) } else { (Some(*step), title(*step)?) };
                stopped(pen, incident, run, ended_at, (why, choices)).map(Some)
            }
        },
        Outcome::Done | Outcome::Failed { .. } => end_vars(pen, incident, run, outcome),
    }
}

fn ended_well(pen: &Pen<'_>, incident: &Incident, run: &Run, seen: &[String]) -> Said<(&'static str, Value)> {
    let mut vars = ended_vars(pen, incident, run);
    vars["verification"] = json!(seen);
    vars["next_steps"] = Value::Null;
    Ok(("internal_rollback_finished", vars))
}

/// It came to its end at this step, before the last one or at the checks, for this reason; then what people can do now.
fn stopped(
    pen: &Pen<'_>,
    incident: &Incident,
    run: &Run,
    (step, title): (Option<usize>, Option<String>),
    (why, choices): (Words, Vec<String>),
) -> Said<(&'static str, Value)> {
    let planned = run.plan.as_ref().map(|plan| plan.steps.as_slice()).unwrap_or_default();
    let is_done = |place: usize| run.steps.get(place).is_some_and(|state| state.done.is_some());
    let is_over = |place: usize| run.steps.get(place).is_some_and(StepState::is_over);
    let titles = |wanted: &dyn Fn(usize) -> bool| -> Said<Vec<String>> {
        let steps = planned.iter().enumerate().filter(|(place, _)| wanted(*place));
        steps.map(|(_, step)| pen.told(&step.title)).collect()
    };
    let mut vars = ended_vars(pen, incident, run);
    vars["failed_step"] = json!(title);
    vars["why"] = json!(why);
    vars["steps_done"] = json!(titles(&is_done)?);
    vars["steps_left"] = json!(titles(&|place| !is_over(place) && step != Some(place))?);
    vars["may_have_changed"] = json!(run.may_have_changed_unfinished());
    vars["choices"] = json!(choices);
    Ok(("internal_rollback_failed", vars))
}

fn ended_vars(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Value {
    let mut vars = run_vars(pen, incident, run);
    vars["version_to"] = json!(run.live().unwrap_or_default());
    vars["took_ms"] = json!(progress::took_ms(run));
    vars
}

/// The plan that was asked for in its place, where there is one.
fn new_plan(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Said<Vec<String>> {
    let next = incident.runs.values().filter(|next| next.request.after == Some(run.id));
    next.map(|next| pen.plain("choice.new_plan", json!({"run": next.id.to_string()}))).collect()
}

/// What people can do now, as the commands they can type.
fn choices(pen: &Pen<'_>, run: &Run, at_a_step: bool) -> Said<Vec<String>> {
    let goes_on = run.goes_on_with().is_some();
    let all = [
        (goes_on, "choice.retry", "retry"),
        (goes_on && at_a_step, "choice.skip", "skip"),
        (run.can_be_undone(), "choice.undo", "undo"),
        (true, "choice.hand_over", "handover"),
    ];
    let offered = all.into_iter().filter(|(offered, ..)| *offered);
    offered
        .map(|(_, key, command)| pen.plain(key, json!({"line": format!("/incident {command} {}", run.id)})))
        .collect()
}

fn run_vars(pen: &Pen<'_>, incident: &Incident, run: &Run) -> Value {
    let mut vars = message_vars(pen, incident);
    let service = run.action.service.as_deref().map_or(run.action.title.as_str(), |key| pen.service(key));
    // It is read in the channel that the link would lead to.
    vars["link"] = Value::Null;
    vars["run"] = json!(run.id.to_string());
    vars["service"] = json!(service);
    vars
}

/// Why it is done, on one line.
fn reason(pen: &Pen<'_>, why: &[Words]) -> Said<Option<String>> {
    let lines = why.iter().map(|line| pen.told(line)).collect::<Said<Vec<_>>>()?;
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end_matches('.')).collect();
    Ok((!lines.is_empty()).then(|| lines.join(" · ")))
}

fn seen(pen: &Pen<'_>, result: &CheckResult) -> Said<String> {
    let figure = json!({"title": result.title, "value": result.value, "limit": result.limit});
    Ok(format!("{} {}", super::diagnostic::emoji(result.verdict), pen.plain("look.figure_of", figure)?))
}

/// What a reader of this message most likely does next.
fn next_steps(pen: &Pen<'_>, incident: &Incident, fact: &Fact) -> Vec<Step> {
    match fact {
        Fact::Escalated { .. } | Fact::LadderExhausted if incident.status == Status::Triggered => {
            vec![Step::Acknowledge]
        }
        Fact::RunFinished { run, .. } => match incident.runs.get(run) {
            Some(run) if super::run::tells_customers(pen, run) => vec![Step::TellCustomers],
            _ => vec![Step::Update],
        },
        Fact::Mitigated { .. } if incident.status == Status::Mitigated => vec![Step::Resolve],
        Fact::Resolved { .. } if incident.status == Status::Resolved => vec![Step::PostMortem],
        Fact::Cancelled { .. } if incident.status == Status::Cancelled => vec![Step::Reopen],
        _ => vec![],
    }
}
