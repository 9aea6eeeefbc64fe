//! What can be done about an incident, as buttons: the most likely next step first, the rest in the menu.

use serde_json::json;

use super::blocks::{Button, Choice, Part};
use super::pen::{Pen, Said};
use crate::incident::id::IncidentId;
use crate::incident::state::{Incident, Run, Status};

/// Something a person may do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Acknowledge,
    Cancel,
    Diagnose,
    Mitigate,
    /// Page a level now, counted from 1.
    Page(usize),
    PostMortem,
    Reopen,
    Resolve,
    RollBack,
    Run,
    Snooze,
    Status,
    TellCustomers,
    Timeline,
    Update,
}

impl Step {
    /// The button's `action_id`.
    const fn id(self) -> &'static str {
        match self {
            Step::Acknowledge => "ack",
            Step::Cancel => "cancel",
            Step::Diagnose => "diagnose",
            Step::Mitigate => "mitigate",
            Step::Page(_) => "page",
            Step::PostMortem => "postmortem",
            Step::Reopen => "reopen",
            Step::Resolve => "resolve",
            Step::RollBack => "rollback",
            Step::Run => "run",
            Step::Snooze => "snooze",
            Step::Status => "status",
            Step::TellCustomers => "customer",
            Step::Timeline => "timeline",
            Step::Update => "update",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Step::Acknowledge => "button.acknowledge",
            Step::Cancel => "button.cancel_incident",
            Step::Diagnose => "button.diagnose",
            Step::Mitigate => "button.mitigate",
            Step::Page(_) => "button.page_level",
            Step::PostMortem => "button.postmortem",
            Step::Reopen => "button.reopen",
            Step::Resolve => "button.resolve",
            Step::RollBack => "button.roll_back",
            Step::Run => "button.run",
            Step::Snooze => "button.snooze",
            Step::Status => "button.details",
            Step::TellCustomers => "button.post_customer_update",
            Step::Timeline => "button.timeline",
            Step::Update => "button.update",
        }
    }

    /// The command line it stands for; it names the incident, so that it works anywhere.
    fn line(self, incident: IncidentId) -> String {
        match self {
            Step::Acknowledge => format!("ack --in {incident}"),
            Step::Cancel => format!("cancel --in {incident}"),
            Step::Diagnose => format!("diag --in {incident}"),
            Step::Mitigate => format!("mitigate --in {incident}"),
            Step::Page(level) => format!("page --in {incident} {level}"),
            Step::PostMortem => format!("postmortem --in {incident}"),
            Step::Reopen => format!("reopen --in {incident}"),
            Step::Resolve => format!("resolve --in {incident}"),
            Step::RollBack => format!("rollback --in {incident}"),
            Step::Run => format!("run --in {incident}"),
            Step::Snooze => format!("snooze --in {incident}"),
            Step::Status => format!("status --in {incident}"),
            Step::Timeline => format!("timeline --in {incident}"),
            Step::TellCustomers | Step::Update => format!("update --in {incident}"),
        }
    }

    fn text(self, pen: &Pen<'_>) -> Said<String> {
        let vars = match self {
            Step::Page(level) => json!({"level": level}),
            Step::Snooze => json!({"after_ms": pen.rules.snooze.0}),
            _ => json!({}),
        };
        pen.plain(self.label(), vars)
    }

    pub(super) fn button(self, pen: &Pen<'_>, incident: IncidentId) -> Said<Button> {
        Ok(Button::new(self.id(), self.text(pen)?, self.line(incident)))
    }

    pub(super) fn choice(self, pen: &Pen<'_>, incident: IncidentId) -> Said<Choice> {
        Ok(Choice::new(self.text(pen)?, self.line(incident)))
    }
}

/// The incident card's row.
pub(super) fn row(pen: &Pen<'_>, incident: &Incident) -> Said<Part> {
    let (mut buttons, mut menu): (Vec<Step>, Vec<Step>) = match incident.status {
        Status::Triggered => (
            vec![Step::Acknowledge, Step::Diagnose, Step::RollBack, Step::Update],
            vec![next_level(incident), Step::Run, Step::Resolve, Step::Cancel, Step::Timeline],
        ),
        Status::Acknowledged => {
            let likely = likely(pen, incident);
            let others = [Step::Update, Step::Diagnose, Step::RollBack, Step::Mitigate];
            let others = others.into_iter().filter(|step| *step != likely);
            (
                std::iter::once(likely).chain(others).collect(),
                vec![Step::Resolve, Step::Run, next_level(incident), Step::Cancel, Step::Timeline],
            )
        }
        Status::Mitigated => {
            (vec![Step::Resolve, Step::Update, Step::Diagnose, Step::RollBack], vec![Step::Run, Step::Timeline])
        }
        Status::Resolved => (vec![Step::PostMortem, Step::Update, Step::Reopen], vec![Step::Timeline]),
        Status::Cancelled => (vec![Step::Reopen], vec![Step::Timeline]),
    };
    buttons.retain(|step| is_possible(pen, incident, *step));
    menu.retain(|step| is_possible(pen, incident, *step));
    menu.truncate(5);
    of_steps(pen, incident.id, &buttons, &menu)
}

/// A row of these steps; the first is the likely one.
pub(super) fn of_steps(pen: &Pen<'_>, incident: IncidentId, buttons: &[Step], menu: &[Step]) -> Said<Part> {
    let buttons = buttons.iter().enumerate().map(|(place, step)| {
        let button = step.button(pen, incident)?;
        Ok(if place == 0 { button.primary() } else { button })
    });
    let menu = menu.iter().map(|step| step.choice(pen, incident));
    Ok(Part::Row(buttons.collect::<Said<_>>()?, menu.collect::<Said<_>>()?))
}

/// What comes next once somebody is on it.
fn likely(pen: &Pen<'_>, incident: &Incident) -> Step {
    let newest = incident.runs.values().next_back();
    let waiting = incident.runs.values().any(Run::is_live);
    if newest.is_some_and(Run::went_well) {
        Step::Mitigate
    } else if !waiting && incident.diagnostics.is_empty() && can_diagnose(pen, incident) {
        Step::Diagnose
    } else {
        Step::Update
    }
}

fn next_level(incident: &Incident) -> Step {
    Step::Page(incident.ladder.level + 2)
}

fn is_possible(pen: &Pen<'_>, incident: &Incident, step: Step) -> bool {
    match step {
        Step::Diagnose => can_diagnose(pen, incident),
        Step::RollBack => can_roll_back(pen),
        Step::Run => !pen.rules.actions.is_empty(),
        Step::Page(level) => level <= incident.severity.policy.levels.len(),
        _ => true,
    }
}

/// The incident's service, or the only one, has checks.
pub(super) fn can_diagnose(pen: &Pen<'_>, incident: &Incident) -> bool {
    let services = &pen.rules.services;
    let own = incident.service.as_ref().and_then(|key| services.get(key));
    let only = services.values().next().filter(|_| services.len() == 1);
    own.or(only).is_some_and(|service| !service.checks.is_empty())
}

/// There is a rollback to choose.
pub(super) fn can_roll_back(pen: &Pen<'_>) -> bool {
    pen.rules.actions.values().any(|action| action.is_rollback)
}
