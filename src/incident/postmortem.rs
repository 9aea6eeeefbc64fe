//! The post-mortem: a fold over the timeline, ready to be rendered (field procedures PM1–PM3).
//!
//! Everything that the record knows is filled in; what only people know (lessons, follow-ups) is left to them.

use serde::Serialize;

use super::approval::Outcome;
use super::id::{IncidentId, RunId, UpdateId, UserId};
use super::people::{Actor, Role};
use super::state::{Arrival, CustomerText, Incident, Mark, Miss, Phase, Run};
use super::time::{Instant, Millis};
use super::timeline::{Entry, Fact};
use super::words::Words;

/// Everything the record knows about an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PostMortem {
    /// The incident.
    pub incident: IncidentId,
    /// What was wrong.
    pub title: String,
    /// The severity it ended with, in the team's words.
    pub severity: String,
    /// A post-mortem is obligatory for it.
    pub required: bool,
    /// An exercise.
    pub drill: bool,
    /// The service concerned.
    pub service: Option<String>,
    /// Where it ended.
    pub status: super::state::Status,
    /// Who held which role.
    pub roles: Vec<(Role, UserId)>,
    /// What happened when, in order (PM1).
    pub milestones: Vec<Milestone>,
    /// The lengths between the milestones.
    pub durations: Durations,
    /// What it did to users, in the resolver's words.
    pub impact: Option<String>,
    /// The root cause, in the resolver's words.
    pub cause: Option<String>,
    /// How it was resolved.
    pub summary: Option<String>,
    /// What was run, and who approved it.
    pub runs: Vec<RunRecord>,
    /// What was said to whom.
    pub communications: Vec<Communication>,
    /// Everything, in order.
    pub timeline: Vec<Entry>,
}

/// A milestone of the response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Milestone {
    /// Which; its words are the label `milestone.<name>`.
    pub name: &'static str,
    /// When.
    pub at: Instant,
    /// Who.
    pub by: Actor,
}

/// How long things took from the declaration; `None` where it never came to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Durations {
    /// Until somebody answered.
    pub acknowledge: Option<Millis>,
    /// Until users were no longer affected.
    pub mitigate: Option<Millis>,
    /// Until it was over.
    pub resolve: Option<Millis>,
}

/// A runbook action that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// The action's title.
    pub title: String,
    /// Where it led from.
    pub from: Option<String>,
    /// Where it led to.
    pub to: Option<String>,
    /// The plan's fingerprint, short.
    pub digest: Option<String>,
    /// Who asked, and when.
    pub asked: Mark,
    /// Who approved, and when.
    pub approved: Vec<Mark>,
    /// Why one person approved it alone, where one did.
    pub glass: Option<String>,
    /// Why somebody approved it while its window was closed, where they did.
    pub outside_window: Option<String>,
    /// How it ended: `done`, `failed`, `stale`, `unknown`, `stopped`, `rejected`, `expired`, `rehearsed`,
    /// `no_plan`, `open`.
    pub outcome: &'static str,
    /// Why, where there is something to say.
    pub why: Option<Words>,
    /// How long the execution took.
    pub took: Option<Millis>,
}

/// A text that went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Communication {
    /// The update.
    pub update: UpdateId,
    /// For customers, or for the team.
    pub customer: bool,
    /// Who wrote it, and when.
    pub written: Mark,
    /// Who let it go out, for customer texts.
    pub approved: Option<Mark>,
    /// It went out (or was held back, or still waits).
    pub state: &'static str,
    /// The text.
    pub text: String,
    /// Where it arrived.
    pub delivered: Vec<String>,
    /// Where it did not, and why.
    pub failed: Vec<(String, Words)>,
}

/// Compiles the post-mortem of an incident from its timeline.
pub fn compile(incident: &Incident, timeline: &[Entry]) -> PostMortem {
    let since = |at: Instant| at.since(incident.declared.at);
    PostMortem {
        incident: incident.id,
        title: incident.title.clone(),
        severity: incident.severity.label.clone(),
        required: incident.severity.postmortem_required,
        drill: incident.drill,
        service: incident.service.clone(),
        status: incident.status,
        roles: incident.roles.iter().map(|(role, user)| (*role, user.clone())).collect(),
        milestones: milestones(timeline),
        durations: Durations {
            acknowledge: incident.acknowledged.as_ref().map(|mark| since(mark.at)),
            mitigate: incident.mitigated.as_ref().map(|(mark, _)| since(mark.at)),
            resolve: incident.resolution.as_ref().map(|resolution| since(resolution.mark.at)),
        },
        impact: incident.resolution.as_ref().and_then(|resolution| resolution.impact.clone()),
        cause: incident.resolution.as_ref().and_then(|resolution| resolution.cause.clone()),
        summary: incident.resolution.as_ref().map(|resolution| resolution.summary.clone()),
        runs: incident.runs.values().map(|run| record(run, timeline)).collect(),
        communications: communications(incident),
        timeline: timeline.to_vec(),
    }
}

/// The first time each milestone was reached, in order of time. An incident that was opened again was neither mitigated
/// nor resolved before.
fn milestones(timeline: &[Entry]) -> Vec<Milestone> {
    let mut found: Vec<Milestone> = Vec::new();
    for entry in timeline {
        let name = match &entry.fact {
            Fact::Declared { .. } => "declared",
            Fact::Paged { .. } => "alerted",
            Fact::Acknowledged => "acknowledged",
            Fact::DiagnosticStarted { .. } => "investigated",
            Fact::RunStarted { .. } => "action_started",
            Fact::Mitigated { .. } => "mitigated",
            Fact::Resolved { .. } => "resolved",
            Fact::Reopened { .. } => {
                found.retain(|milestone| !matches!(milestone.name, "mitigated" | "resolved"));
                continue;
            }
            _ => continue,
        };
        if found.iter().all(|milestone| milestone.name != name) {
            found.push(Milestone { name, at: entry.at, by: entry.by.clone() });
        }
    }
    found
}

fn record(run: &Run, timeline: &[Entry]) -> RunRecord {
    let (outcome, why) = match &run.phase {
        Phase::Finished { outcome } => match outcome {
            Outcome::Done => ("done", None),
            Outcome::Stale { found, .. } => ("stale", Some(found.clone())),
            Outcome::Failed { why, .. } => ("failed", Some(why.clone())),
            Outcome::Unknown { why, .. } => ("unknown", Some(why.clone())),
            Outcome::Stopped { .. } => ("stopped", None),
        },
        Phase::Rejected { reason, .. } => ("rejected", reason.clone().map(Words::verbatim)),
        Phase::Expired => ("expired", None),
        Phase::Rehearsed => ("rehearsed", None),
        Phase::PlanFailed { why } => ("no_plan", Some(why.clone())),
        _ => ("open", None),
    };
    let overridden = timeline.iter().find_map(|entry| match &entry.fact {
        Fact::ApprovalGiven { run: of, override_reason, .. } | Fact::GlassBroken { run: of, override_reason, .. }
            if *of == run.id =>
        {
            override_reason.clone()
        }
        _ => None,
    });
    let change = run.plan.as_ref().map(|plan| plan.from_to());
    RunRecord {
        run: run.id,
        title: run.action.title.clone(),
        from: change.and_then(|(from, _)| from.map(str::to_owned)),
        to: change.map(|(_, to)| to.to_owned()),
        digest: run.digest.as_ref().map(|digest| digest.short().to_owned()),
        asked: run.asked.clone(),
        approved: run.approvals.iter().map(|approval| Mark { by: approval.by.clone(), at: approval.at }).collect(),
        glass: run.glass.as_ref().map(|(_, reason)| reason.clone()),
        outside_window: overridden,
        outcome,
        why,
        took: run.started_at.zip(run.ended_at).map(|(start, end)| end.since(start)),
    }
}

fn communications(incident: &Incident) -> Vec<Communication> {
    let mut all = Vec::new();
    for update in incident.updates.values() {
        if let Some(text) = &update.internal {
            all.push(Communication {
                update: update.id,
                customer: false,
                written: update.written.clone(),
                approved: None,
                state: "sent",
                text: text.clone(),
                delivered: arrived(&update.delivered, false),
                failed: missed(&update.failed, false),
            });
        }
        if let (Some(text), Some(state)) = (&update.customer, &update.customer_state) {
            let (word, approved) = match state {
                CustomerText::Pending => ("waiting", None),
                CustomerText::Approved { mark } => ("sent", Some(mark.clone())),
                CustomerText::Rejected { .. } => ("held", None),
            };
            all.push(Communication {
                update: update.id,
                customer: true,
                written: update.written.clone(),
                approved,
                state: word,
                text: text.clone(),
                delivered: arrived(&update.delivered, true),
                failed: missed(&update.failed, true),
            });
        }
    }
    all
}

fn arrived(all: &[Arrival], customer: bool) -> Vec<String> {
    all.iter().filter(|one| one.customer == customer).map(|one| one.destination.clone()).collect()
}

fn missed(all: &[Miss], customer: bool) -> Vec<(String, Words)> {
    let of_kind = all.iter().filter(|one| one.customer == customer);
    of_kind.map(|one| (one.destination.clone(), one.why.clone())).collect()
}
