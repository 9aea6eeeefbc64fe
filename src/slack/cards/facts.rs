//! One line for each entry of a timeline, in Slack and on paper. Every kind of fact has its label `fact.<kind>`.

use serde_json::{Map, Value, json};

use super::pen::{Pen, Said};
use super::{diagnostic, run, words};
use crate::incident::approval::{CheckResult, Digest, Outcome};
use crate::incident::id::{PageId, RunId, UserId};
use crate::incident::people::{Actor, Role};
use crate::incident::state::Run;
use crate::incident::timeline::{Entry, Fact};
use crate::render::Locale;
use crate::slack::fault;
use crate::slack::scene::Scene;

/// Where the line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// In Slack: people are mentions, instants are Slack dates, the rest is escaped.
    Slack,
    /// Anywhere else: people by name, instants in the team's zone.
    Plain,
}

/// The entry in one line, without its time.
///
/// # Errors
/// When a label is missing or wants a variable that the fact does not have.
pub fn line(scene: &Scene<'_>, locale: Locale, entry: &Entry, medium: Medium) -> Said<String> {
    let pen = Pen::new(scene, locale);
    let key = format!("fact.{}", entry.fact.kind());
    let vars = vars(scene, &pen, entry)?;
    if let Fact::Fault { words } = &entry.fact {
        // The sentence has markup of its own, so it cannot be a variable of another.
        return match medium {
            Medium::Slack => {
                let head = pen.say(&key, vars)?;
                Ok(format!("{} {}", head.as_str(), words::mrkdwn(&pen, words)?.as_str()))
            }
            Medium::Plain => {
                let head = pen.plain(&key, vars)?;
                Ok(format!("{head} {}", words::plain(scene, locale, words)?))
            }
        };
    }
    match medium {
        Medium::Slack => Ok(pen.say(&key, vars)?.as_str().to_owned()),
        Medium::Plain => pen.plain(&key, vars),
    }
}

/// Of interest to Vigie only, so left out where people read the timeline at a glance.
pub fn is_detail(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::CardPosted { .. }
            | Fact::PageDelivered { .. }
            | Fact::StepStarted { .. }
            | Fact::RunReleased { announced: true, without_state: false, .. }
    )
}

/// What the labels of facts may use: always `by`, and what the fact itself says.
fn vars(scene: &Scene<'_>, pen: &Pen<'_>, entry: &Entry) -> Said<Value> {
    let mut vars = match &entry.fact {
        Fact::Escalated { .. } | Fact::Paged { .. } | Fact::PageDelivered { .. } | Fact::PageFailed { .. } => {
            of_paging(scene, pen, &entry.fact)?
        }
        Fact::DiagnosticStarted { .. } | Fact::DiagnosticFinished { .. } => of_diagnostic(scene, pen, &entry.fact)?,
        fact => match run_of(fact) {
            Some(id) => of_run(scene, pen, id, fact)?,
            None => of_incident(pen, &entry.by, fact)?,
        },
    };
    vars.insert("by".into(), pen.actor(&entry.by));
    Ok(Value::Object(vars))
}

type Vars = Map<String, Value>;

fn object(value: Value) -> Vars {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn of_paging(scene: &Scene<'_>, pen: &Pen<'_>, fact: &Fact) -> Said<Vars> {
    let paged = |page: &PageId| -> Said<Vars> {
        let state = scene.incident.and_then(|incident| incident.pages.get(page));
        let way = state.map(|state| pen.word(&format!("paging.{}", state.way))).transpose()?;
        Ok(object(
            json!({"who": state.map(|state| Pen::contact(&state.contact)), "way": way, "page": page.to_string()}),
        ))
    };
    Ok(match fact {
        Fact::Escalated { level, round, because_silent } => {
            let levels = scene.incident.map_or(0, |incident| incident.severity.policy.levels.len());
            object(json!({
                "level": level + 1,
                "levels": levels.max(level + 1),
                "round": round + 1,
                "again": *round > 0,
                "because_silent": because_silent,
            }))
        }
        Fact::Paged { page, contact, way, message, .. } => object(json!({
            "who": Pen::contact(contact),
            "way": pen.word(&format!("paging.{way}"))?,
            "page": page.to_string(),
            "message": message,
        })),
        Fact::PageDelivered { page, note } => {
            let mut vars = paged(page)?;
            vars.insert("note".into(), json!(note));
            vars
        }
        Fact::PageFailed { page, why } => {
            let mut vars = paged(page)?;
            vars.insert("why".into(), json!(why));
            vars
        }
        _ => Map::new(),
    })
}

fn of_diagnostic(scene: &Scene<'_>, pen: &Pen<'_>, fact: &Fact) -> Said<Vars> {
    Ok(match fact {
        Fact::DiagnosticStarted { service, .. } => object(json!({"service": pen.service(service)})),
        Fact::DiagnosticFinished { diagnostic, results } => {
            let round = scene.incident.and_then(|incident| incident.diagnostics.get(diagnostic));
            let mut vars = seen(pen, results)?;
            vars.insert("service".into(), json!(round.map(|round| pen.service(&round.service))));
            vars
        }
        _ => Map::new(),
    })
}

/// How many checks are outside their limits, and the worst of them.
fn seen(pen: &Pen<'_>, results: &[CheckResult]) -> Said<Vars> {
    let bad = results.iter().filter(|result| diagnostic::is_bad(result)).count();
    let worst = diagnostic::worst(results).filter(|result| diagnostic::is_bad(result));
    let verdict = worst.map(|result| diagnostic::verdict_word(result.verdict));
    Ok(object(json!({
        "bad": bad,
        "all": results.len(),
        "worst": worst.map(|result| &result.title),
        "value": worst.map(|result| &result.value),
        "verdict": verdict.map(|word| pen.word(&format!("verdict.{word}"))).transpose()?,
    })))
}

/// The run that a fact is about.
const fn run_of(fact: &Fact) -> Option<RunId> {
    match fact {
        Fact::PlanAsked { run, .. }
        | Fact::PlanShown { run, .. }
        | Fact::PlanFailed { run, .. }
        | Fact::ItemTicked { run, .. }
        | Fact::ApprovalGiven { run, .. }
        | Fact::Approved { run, .. }
        | Fact::StateKept { run, .. }
        | Fact::PlanRejected { run, .. }
        | Fact::PlanExpired { run }
        | Fact::RunReleased { run, .. }
        | Fact::RunStarted { run, .. }
        | Fact::StepStarted { run, .. }
        | Fact::StepFinished { run, .. }
        | Fact::RunHalted { run, .. }
        | Fact::VerificationStarted { run }
        | Fact::VerificationFinished { run, .. }
        | Fact::StopAsked { run }
        | Fact::RunFinished { run, .. }
        | Fact::StepSkipped { run, .. }
        | Fact::RunResumed { run, .. }
        | Fact::HandedOver { run, .. }
        | Fact::GlassBroken { run, .. }
        | Fact::RunTold { run, .. }
        | Fact::RunSettled { run, .. } => Some(*run),
        _ => None,
    }
}

fn of_run(scene: &Scene<'_>, pen: &Pen<'_>, id: RunId, fact: &Fact) -> Said<Vars> {
    let state = scene.incident.and_then(|incident| incident.runs.get(&id));
    let planned = |step: &usize| state.and_then(|run| run.plan.as_ref()).and_then(|plan| plan.steps.get(*step));
    let id = id.to_string();
    let mut vars = object(json!({"run": id, "title": state.map_or(id.as_str(), run::title)}));
    let own = match fact {
        Fact::PlanAsked { action, request, .. } => {
            let after = request.after.map(|run| run.to_string());
            let undo_of = request.undo_of.map(|run| run.to_string());
            json!({"title": action.title, "to": request.to, "after": after, "undo_of": undo_of, "dry_run": request.dry_run})
        }
        Fact::PlanShown { plan, digest, expires_at, .. } => {
            let (from, to) = plan.from_to();
            let dry_run = state.is_some_and(|run| run.request.dry_run);
            let expires_at = (!dry_run).then_some(expires_at.0);
            json!({"title": plan.title, "from": from, "to": to, "digest": digest.short(), "expires_at": expires_at})
        }
        Fact::PlanFailed { why, .. } => json!({"why": why}),
        Fact::ItemTicked { item, ticked, .. } => {
            let known = state.and_then(|run| run.action.checklist.iter().find(|known| &known.key == item));
            json!({"text": known.map_or(item, |known| &known.text), "ticked": ticked})
        }
        Fact::ApprovalGiven { digest, override_reason, .. } => {
            json!({"digest": digest.short(), "override": override_reason})
        }
        Fact::StateKept { files, missed, late, .. } => {
            let names: Vec<&String> = files.iter().map(|file| &file.name).collect();
            json!({"files": names, "missed": missed, "late": late})
        }
        Fact::RunTold { ended, destination, why, .. } => {
            json!({"ended": ended, "destination": destination, "why": why})
        }
        Fact::GlassBroken { reason, override_reason, .. } => json!({"reason": reason, "override": override_reason}),
        Fact::PlanRejected { reason, .. } => json!({"reason": reason}),
        Fact::RunReleased { announced, without_state, .. } => {
            json!({"announced": announced, "without_state": without_state})
        }
        Fact::StepStarted { step, .. } => {
            json!({"step": step + 1, "step_title": planned(step).map(|step| &step.title)})
        }
        Fact::StepFinished { step, note, took, .. } => json!({
            "step": step + 1, "step_title": planned(step).map(|step| &step.title), "note": note, "took_ms": took.0,
        }),
        Fact::VerificationFinished { results, .. } => Value::Object(seen(pen, results)?),
        Fact::RunHalted { step, outcome, .. } => {
            let mut vars = finished(pen, outcome)?;
            vars["step"] = json!(step + 1);
            vars["step_title"] = json!(planned(step).map(|step| &step.title));
            vars
        }
        Fact::RunStarted { .. } => json!({"digest": digest(state)}),
        Fact::RunFinished { outcome, .. } => {
            let mut vars = finished(pen, outcome)?;
            vars["digest"] = json!(digest(state));
            vars
        }
        Fact::StepSkipped { step, reason, .. } => {
            json!({"step": step + 1, "step_title": planned(step).map(|step| &step.title), "reason": reason})
        }
        Fact::RunResumed { step, .. } => {
            json!({"step": step + 1, "step_title": planned(step).map(|step| &step.title)})
        }
        Fact::HandedOver { name, user, text, .. } => {
            json!({"who": {"id": user.as_ref().map(|user| &user.0), "name": name}, "text": text})
        }
        Fact::RunSettled { happened, .. } => json!({"happened": happened}),
        _ => json!({}),
    };
    vars.extend(object(own));
    Ok(vars)
}

/// The fingerprint of the plan that runs.
fn digest(run: Option<&Run>) -> Option<&str> {
    run?.digest.as_ref().map(Digest::short)
}

fn finished(pen: &Pen<'_>, outcome: &Outcome) -> Said<Value> {
    let (step, why) = match outcome {
        Outcome::Done => (None, None),
        Outcome::Stopped { done } => (Some(*done), None),
        Outcome::Stale { step, found } => (Some(step + 1), Some(found)),
        Outcome::Failed { step, why } => (step.map(|step| step + 1), Some(why)),
        Outcome::Unknown { step, why } => (Some(step + 1), Some(why)),
    };
    let outcome = pen.word(&format!("run.state.{}", run::outcome_word(outcome)))?;
    Ok(json!({"outcome": outcome, "step": step, "why": why}))
}

fn of_incident(pen: &Pen<'_>, by: &Actor, fact: &Fact) -> Said<Vars> {
    let people = |users: &[UserId]| -> Value { users.iter().map(|user| pen.person(user)).collect() };
    let role = |role: &Role| pen.word(&format!("role.{role}"));
    let value = match fact {
        Fact::Declared { id, title, severity, drill, .. } => {
            json!({"incident": id.to_string(), "title": title, "severity": severity.label, "drill": drill})
        }
        Fact::ChannelOpened { name, .. } => json!({"name": name}),
        Fact::ChannelLost { why } => json!({"why": fault::reason(why)}),
        Fact::ChannelRefused { why } => json!({"why": why}),
        Fact::CardPosted { card, .. } => json!({"card": card.name()}),
        Fact::ChatFailed { what, why } => json!({"what": what, "why": why}),
        Fact::Invited { users, failed } => {
            let failed: Vec<UserId> = failed.iter().map(|(user, _)| user.clone()).collect();
            json!({"who": people(users), "failed": people(&failed)})
        }
        Fact::SeverityChanged { severity, reason } => json!({"severity": severity.label, "reason": reason}),
        Fact::RoleAssigned { role: which, user } => {
            json!({"role": role(which)?, "who": pen.person(user), "own": by.person() == Some(user)})
        }
        Fact::NoteAdded { text } | Fact::MessageEdited { text, .. } => json!({"text": text}),
        Fact::MessageCaptured { author, text, .. } => {
            json!({"author": author.as_ref().map(|author| pen.person(author)), "text": text})
        }
        Fact::UpdatePosted { internal, customer, next_at, .. } => {
            json!({"text": internal, "customer": customer, "next_at": next_at.map(|at| at.0)})
        }
        Fact::CustomerTextApproved { update } => json!({"update": update.to_string()}),
        Fact::CustomerTextRejected { update, reason } => json!({"update": update.to_string(), "reason": reason}),
        Fact::TextDelivered { destination, note, .. } => json!({"destination": destination, "note": note}),
        Fact::TextFailed { destination, why, .. } => json!({"destination": destination, "why": why}),
        Fact::UpdateReminded { who, .. } => json!({"who": people(who)}),
        Fact::ReminderSnoozed { until } => json!({"until_at": until.0}),
        Fact::Mitigated { text } => json!({"text": text}),
        Fact::Resolved { summary, impact, cause } => json!({"summary": summary, "impact": impact, "cause": cause}),
        Fact::Reopened { reason } | Fact::Cancelled { reason } => json!({"reason": reason}),
        Fact::PostMortemCompiled { number } => json!({"version": number}),
        _ => json!({}),
    };
    Ok(object(value))
}
