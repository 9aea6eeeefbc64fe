//! A whole incident in which every text that comes from outside is the same, whatever it is.

use super::example::*;
use crate::incident::approval::{CheckResult, Outcome, PlanPhase, Verdict};
use crate::incident::id::MessageRef;
use crate::incident::people::{Role, Way};
use crate::incident::state::Incident;
use crate::incident::time::{Instant, Millis};
use crate::incident::timeline::{CapturedBy, Card, Fact, PageWhy};
use crate::incident::words::Words;

/// Every card there is for the incident.
pub fn every_card(incident: &Incident) -> Vec<Card> {
    let mut cards = vec![Card::Incident, Card::Announcement];
    cards.extend(incident.pages.keys().map(|id| Card::Page(*id)));
    cards.extend(incident.runs.keys().map(|id| Card::Run(*id)));
    cards.extend(incident.updates.keys().map(|id| Card::Update(*id)));
    cards.extend(incident.diagnostics.keys().map(|id| Card::Diagnostic(*id)));
    cards.extend((1..=incident.seq).map(Card::Notice));
    cards.extend((1..=incident.reminders).map(Card::Reminder));
    cards
}

/// Every way a run can end.
pub fn outcomes(text: &str) -> Vec<Outcome> {
    let text = || text.to_owned();
    vec![
        Outcome::Done,
        Outcome::Stale { step: 1, found: Words::verbatim(text()) },
        Outcome::Failed { step: Some(1), why: Words::verbatim(text()) },
        Outcome::Failed { step: None, why: Words::verbatim(text()) },
        Outcome::Unknown { step: 1, why: Words::verbatim(text()) },
        Outcome::Stopped { done: 1 },
    ]
}

/// Open, with a plan that waits, updates that wait, diagnostics, reminders and captured messages.
pub fn open(text: &str) -> Stage {
    let mut stage = Stage::titled(text);
    let some = || Some(text.to_owned());
    plan_of(&mut stage, text);
    let lead = Box::new(stage.rules.contacts["lead"].clone());
    let message = MessageRef { channel: "C0INC7".into(), ts: "1.2".into() };
    let paged =
        |number, why, message| Fact::Paged { page: page(number), contact: lead.clone(), way: Way::Slack, why, message };
    stage.by("U0ENGINEER", paged(3, PageWhy::ByHand, some()));
    stage.vigie(paged(4, PageWhy::Fallback, None));
    stage.vigie(paged(5, PageWhy::UpdateOverdue, None));
    stage.vigie(Fact::PageFailed { page: page(3), why: Words::verbatim(text) });
    stage.vigie(Fact::Invited { users: vec![user("U0LEAD")], failed: vec![(user("U0COMMS"), text.into())] });
    stage.vigie(Fact::CardPosted { card: Card::Incident, message: message.clone() });
    stage.vigie(Fact::ChatFailed { what: Words::verbatim(text), why: Words::verbatim(text) });
    stage.vigie(Fact::ChannelLost { why: text.into() }).vigie(Fact::ChannelRegained);
    stage.vigie(Fact::LadderExhausted);
    stage.acknowledged();
    let severity = Box::new(stage.rules.severities[0].clone());
    stage.by("U0LEAD", Fact::SeverityChanged { severity, reason: some() });
    stage.by("U0LEAD", Fact::RoleAssigned { role: Role::Commander, user: user("U0LEAD") });
    stage.by("U0LEAD", Fact::RoleAssigned { role: Role::Scribe, user: user("U0COMMS") });
    stage.by("U0LEAD", Fact::NoteAdded { text: text.into() });
    stage.by(
        "U0LEAD",
        Fact::MessageCaptured {
            message: message.clone(),
            author: Some(user("U0COMMS")),
            text: text.into(),
            by: CapturedBy::Reaction,
            thread: None,
        },
    );
    stage.vigie(Fact::MessageEdited { message: message.clone(), text: text.into(), edited: text.into() });
    stage.vigie(Fact::MessageDeleted { message: message.clone() });
    stage.by("U0LEAD", Fact::CaptureWithdrawn { message });
    stage.by("U0LEAD", Fact::DiagnosticStarted { diagnostic: DIAGNOSTIC, service: "shop".into() });
    stage.vigie(Fact::DiagnosticFinished { diagnostic: DIAGNOSTIC, results: seen(text) });
    let update = Fact::UpdatePosted {
        update: UPDATE,
        internal: some(),
        customer: some(),
        next_at: Some(stage.now + Millis::minutes(30)),
    };
    stage.by("U0ENGINEER", update);
    stage.vigie(Fact::TextDelivered {
        update: UPDATE,
        customer: true,
        destination: text.into(),
        note: Some(Words::verbatim(text)),
        remote_id: None,
    });
    stage.vigie(Fact::TextFailed {
        update: UPDATE,
        customer: true,
        destination: text.into(),
        why: Words::verbatim(text),
    });
    let climbs_at = Instant(stage.now.0 + 1);
    stage.vigie(Fact::UpdateReminded { number: 1, who: vec![user("U0LEAD")], climbs_at });
    stage.by("U0LEAD", Fact::ReminderSnoozed { until: climbs_at });
    stage.vigie(Fact::Fault { words: Words::new("fault.unreachable").with("name", text) });
    stage.plan_shown();
    stage
}

/// [`open`], with its plan carried out and the incident over.
pub fn over(text: &str, outcome: Outcome) -> Stage {
    let mut stage = open(text);
    let some = || Some(text.to_owned());
    let digest = stage.incident().runs[&RUN].digest.clone().unwrap();
    stage.by("U0ENGINEER", Fact::ItemTicked { run: RUN, item: "queue".into(), ticked: true });
    stage.by("U0LEAD", Fact::ApprovalGiven { run: RUN, digest, override_reason: None });
    let run_by = stage.now;
    stage.by("U0LEAD", Fact::Approved { run: RUN, run_by, keeping: false });
    stage.vigie(Fact::RunReleased { run: RUN, announced: false, without_state: true });
    stage.vigie(Fact::RunStarted { run: RUN, fence: 1 });
    stage.vigie(Fact::StepStarted { run: RUN, step: 0 });
    let note = Words::verbatim(text);
    stage.vigie(Fact::StepFinished { run: RUN, step: 0, note, took: Millis(5), output: some(), live: some() });
    stage.by("U0LEAD", Fact::StopAsked { run: RUN });
    stage.vigie(Fact::VerificationStarted { run: RUN });
    stage.vigie(Fact::VerificationFinished { run: RUN, results: seen(text) });
    stage.vigie(Fact::RunFinished { run: RUN, outcome, output: some() });
    stage.by("U0LEAD", Fact::RunSettled { run: RUN, happened: true });
    stage.by("U0LEAD", Fact::CustomerTextApproved { update: UPDATE });
    stage.by("U0LEAD", Fact::CustomerTextRejected { update: UPDATE, reason: some() });
    stage.by("U0LEAD", Fact::Mitigated { text: some() });
    stage.by("U0LEAD", Fact::Resolved { summary: text.into(), impact: some(), cause: some() });
    stage.by("U0LEAD", Fact::PostMortemCompiled { number: 1 });
    stage
}

/// A plan that came to nothing.
pub fn no_plan(text: &str, fact: Fact) -> Stage {
    let mut stage = Stage::titled(text);
    plan_of(&mut stage, text);
    match fact {
        Fact::PlanFailed { .. } => stage.plan_asked().vigie(fact),
        _ => stage.plan_shown().by("U0LEAD", fact),
    };
    stage
}

fn plan_of(stage: &mut Stage, text: &str) {
    let plan = &mut stage.plan;
    plan.title = text.into();
    plan.why = vec![Words::verbatim(text); 9];
    plan.cautions = vec![text.into(); 2];
    plan.will_not = vec![text.into()];
    plan.steps.iter_mut().for_each(|step| {
        step.title = Words::verbatim(text);
        step.target = text.into();
        step.from = Some(text.into());
        step.to = text.into();
        step.diff = vec![Words::verbatim(text); 7];
    });
    plan.phases = (0..2).map(|first| PlanPhase { title: text.into(), within: Millis::minutes(5), first }).collect();
    plan.verification.iter_mut().for_each(|check| check.title = text.into());
    for action in stage.rules.actions.values_mut() {
        action.title = text.into();
        action.checklist.iter_mut().for_each(|item| item.text = text.into());
    }
    stage.rules.services.values_mut().for_each(|service| service.title = text.into());
    stage.rules.severities.iter_mut().for_each(|severity| severity.criteria = text.into());
    stage.rules.audiences.customer = vec![text.into(); 3];
    stage.rules.status_page = Some(text.into());
    stage.rules.customer_contact = Some(text.into());
    stage.rules.contacts.values_mut().for_each(|contact| contact.name = text.into());
}

fn seen(text: &str) -> Vec<CheckResult> {
    let one = |verdict| CheckResult {
        check: "health".into(),
        title: text.into(),
        verdict,
        value: Words::verbatim(text),
        limit: Some(Words::verbatim(text)),
        took: Millis(41),
        figure: None,
        details: None,
    };
    [Verdict::Hung, Verdict::Fail, Verdict::Warn, Verdict::Pass].into_iter().cycle().take(24).map(one).collect()
}
