//! What waits for whom: the pages, plans, customer texts and updates that one person is asked for.
//!
//! Home shows it, and whoever it changes for sees their Home drawn anew. It says who is asked, not who may: what is
//! allowed is decided when somebody acts.

use std::collections::{BTreeMap, BTreeSet};

use super::approval::Approver;
use super::id::{RunId, UpdateId, UserId};
use super::people::Actor;
use super::rules::Rules;
use super::run::approvers;
use super::state::{CustomerText, Incident, PageState, Phase, Run, Status};
use super::time::{Instant, Millis};
use super::timeline::PageWhy;

/// An update is asked for this long before it is due.
const AHEAD: Millis = Millis::minutes(5);

/// The open incidents, as far as anybody is shown them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenIncidents {
    /// How many there are.
    pub count: usize,
    /// The worst of them, then the oldest. In these, and in no others, is looked for what waits for somebody.
    pub worst: Vec<Incident>,
}

/// Something that one person is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// To answer a page that nobody has answered.
    Page,
    /// To come, since somebody asked for this very person.
    Call {
        /// Who asked.
        by: Actor,
    },
    /// To approve a plan, or to reject it.
    Plan(RunId),
    /// To read a customer text before it goes out.
    Text(UpdateId),
    /// To write the status update.
    Update,
}

/// Everything in an incident that waits, by whom it waits for; the most urgent first.
pub fn waiting(rules: &Rules, incident: &Incident, now: Instant) -> BTreeMap<UserId, Vec<Waiting>> {
    let mut all: BTreeMap<UserId, Vec<Waiting>> = BTreeMap::new();
    let mut ask = |user: UserId, what: Waiting| {
        let mine = all.entry(user).or_default();
        if !mine.contains(&what) {
            mine.push(what);
        }
    };
    for page in incident.pages.values() {
        if let (Some(user), Some(what)) = (&page.contact.slack, of_page(incident, page)) {
            ask(user.clone(), what);
        }
    }
    for run in incident.runs.values().filter(|run| is_pending(run, now)) {
        for user in asked(incident, &run.action.approval.by).into_iter().filter(|user| may_judge(run, user)) {
            ask(user, Waiting::Plan(run.id));
        }
    }
    for update in incident.updates.values().filter(|update| update.customer_state == Some(CustomerText::Pending)) {
        let author = update.written.by.person();
        for user in asked(incident, &rules.customer_approval.by).into_iter().filter(|user| Some(user) != author) {
            ask(user, Waiting::Text(update.id));
        }
    }
    for user in asked_for_update(incident, now) {
        ask(user, Waiting::Update);
    }
    all
}

/// Everybody who has to do with the incident: paged, invited, or in a role.
pub fn involved(incident: &Incident) -> BTreeSet<UserId> {
    let paged = incident.pages.values().filter_map(|page| page.contact.slack.as_ref());
    paged.chain(&incident.invited).chain(incident.roles.values()).cloned().collect()
}

fn of_page(incident: &Incident, page: &PageState) -> Option<Waiting> {
    let answered = page.contact.slack.as_ref().is_some_and(|user| incident.acknowledged_by.contains(user));
    match page.why {
        PageWhy::ByHand | PageWhy::HandedOver if incident.status.is_open() && !answered => {
            Some(Waiting::Call { by: page.mark.by.clone() })
        }
        PageWhy::Level { .. } | PageWhy::Fallback if incident.status == Status::Triggered => Some(Waiting::Page),
        _ => None,
    }
}

fn is_pending(run: &Run, now: Instant) -> bool {
    run.phase == Phase::Pending && run.expires_at.is_none_or(|at| at > now)
}

fn may_judge(run: &Run, user: &UserId) -> bool {
    let asked_it = run.asked.by.person() == Some(user);
    let approved = run.approvals.iter().any(|approval| approval.by.person() == Some(user));
    !approved && (run.action.approval.requester_may || !asked_it)
}

/// Those who are asked to decide. Where anybody may, only the people of the incident's channel are.
pub fn asked(incident: &Incident, by: &[Approver]) -> BTreeSet<UserId> {
    if by.is_empty() {
        return incident.invited.iter().chain(incident.roles.values()).cloned().collect();
    }
    approvers(incident, by).into_iter().collect()
}

/// Whoever is in charge, and whoever was paged since because the update did not come.
fn asked_for_update(incident: &Incident, now: Instant) -> BTreeSet<UserId> {
    let Some(promised) = incident.update_due.promised.filter(|at| *at <= now + AHEAD) else {
        return BTreeSet::new();
    };
    let overdue = |page: &&PageState| page.why == PageWhy::UpdateOverdue && page.mark.at >= promised;
    let paged = incident.pages.values().filter(overdue).filter_map(|page| page.contact.slack.as_ref());
    incident.in_charge().into_iter().chain(paged).cloned().collect()
}
