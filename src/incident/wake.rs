//! What time brings: the climb, expired plans, runs whose announcement took too long, overdue updates.
//!
//! Each thing happens once however late it is noticed: ten hours of downtime give one reminder, not twenty.

use super::decision::{Context, Decision};
use super::draft::Draft;
use super::id::UserId;
use super::people::{Contact, Role};
use super::state::{Incident, Phase};
use super::time::Instant;
use super::timeline::{Card, Fact, PageWhy};
use super::waiting::asked;

/// Does everything that is due.
pub fn wake(context: Context<'_>, incident: &Incident) -> Decision {
    let mut draft = Draft::of(context, incident);
    expire_plans(&mut draft);
    release_late_announcements(&mut draft);
    if draft.incident.status.is_open() {
        if is_due(draft.incident.ladder.next_at, context.now) {
            draft.climb();
        }
        if is_due(draft.incident.reminder_at(), context.now) {
            remind(&mut draft);
        }
    }
    draft.finish()
}

fn is_due(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| at <= now)
}

fn expire_plans(draft: &mut Draft<'_>) {
    let now = draft.context.now;
    let expired = |run: &&super::state::Run| run.phase == Phase::Pending && is_due(run.expires_at, now);
    let runs: Vec<_> = draft.incident.runs.values().filter(expired).map(|run| run.id).collect();
    for run in runs {
        draft.fact(Fact::PlanExpired { run }).show(Card::Run(run)).show(Card::Incident);
        // Its time was over before this was noticed; to Home that is no change.
        let state = draft.incident.runs.get(&run);
        let asked = state.map(|state| asked(&draft.incident, &state.action.approval.by));
        draft.home(asked.unwrap_or_default());
    }
}

fn release_late_announcements(draft: &mut Draft<'_>) {
    let now = draft.context.now;
    let late = |run: &super::state::Run| match run.phase {
        Phase::Announcing { run_by, told_by, .. } if run_by <= now => Some((run.id, told_by)),
        _ => None,
    };
    let runs: Vec<_> = draft.incident.runs.values().filter_map(late).collect();
    for (run, told_by) in runs {
        // It may have been told, and wait for the state to be kept.
        let announced = draft.incident.cards.contains_key(&Card::Notice(told_by));
        draft.release_run(run, announced);
    }
}

/// Reminds whoever is in charge; each further reminder goes to the next in charge (M7).
fn remind(draft: &mut Draft<'_>) {
    let (incident, now) = (&draft.incident, draft.context.now);
    let number = incident.update_due.reminded + 1;
    let chain = in_charge_chain(incident);
    let place = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let who: Vec<UserId> = chain.get(place).or(chain.last()).cloned().into_iter().collect();
    let chain_left = place + 1 < chain.len();
    let every = incident.severity.update_every.unwrap_or(incident.severity.update_grace);
    let climbs_at = now + if chain_left { incident.severity.update_grace } else { every };
    let contact: Option<Contact> = match (number > 1 && place < chain.len(), who.first()) {
        (true, Some(user)) => contact_of(draft, user),
        _ => None,
    };
    draft.home(who.iter().cloned());
    draft.fact(Fact::UpdateReminded { number, who, climbs_at });
    let card = Card::Reminder(draft.incident.reminders);
    draft.show(card).show(Card::Incident);
    if let Some(contact) = contact {
        draft.page(&contact, PageWhy::UpdateOverdue, None);
    }
}

fn contact_of(draft: &Draft<'_>, user: &UserId) -> Option<Contact> {
    let policy = &draft.incident.severity.policy;
    let stamped = policy.levels.iter().flat_map(|level| &level.contacts).chain(&policy.fallback);
    let mut known = stamped.chain(draft.context.rules.contacts.values());
    known.find(|contact| contact.slack.as_ref() == Some(user)).cloned()
}

/// Who is asked for the update, in order: whoever is in charge, the other roles, then the ladder from its foot.
fn in_charge_chain(incident: &Incident) -> Vec<UserId> {
    let mut chain: Vec<UserId> = incident.in_charge().cloned().into_iter().collect();
    let roles = Role::ALL.iter().filter_map(|role| incident.roles.get(role)).cloned();
    let policy = &incident.severity.policy;
    let ladder = policy.levels.iter().flat_map(|level| &level.contacts).chain(&policy.fallback);
    for user in roles.chain(ladder.filter_map(|contact| contact.slack.clone())) {
        if !chain.contains(&user) {
            chain.push(user);
        }
    }
    chain
}
