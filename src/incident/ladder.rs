//! Climbing: who is paged now, who next, and what when nobody can be reached (field procedures E2, E4).

use super::decision::Effect;
use super::draft::Draft;
use super::id::PageId;
use super::people::{Contact, Way};
use super::state::{Incident, PageOutcome, PageState};
use super::timeline::{Card, Fact, PageWhy};
use super::words::Words;

impl Draft<'_> {
    /// Pages a level of the ladder and invites its people. Gives the timeline entry that tells of it.
    pub fn page_level(&mut self, level: usize, round: u32, because_silent: bool) -> u64 {
        let contacts = self.incident.severity.policy.levels.get(level).map(|l| l.contacts.clone()).unwrap_or_default();
        self.fact(Fact::Escalated { level, round, because_silent });
        let told_by = self.incident.seq;
        for contact in &contacts {
            self.page(contact, PageWhy::Level { level, round }, None);
        }
        told_by
    }

    /// Pages one person in all the ways that are used together. The page lane does not wait for Slack's channel.
    pub fn page(&mut self, contact: &Contact, why: PageWhy, message: Option<String>) {
        let mut ways: Vec<Way> =
            contact.page_with.iter().copied().filter(|way| contact.address(*way).is_some()).collect();
        if ways.is_empty() {
            ways.extend(contact.fall_over.iter().copied().find(|way| contact.address(*way).is_some()));
        }
        if ways.is_empty() {
            self.fact(Fact::Fault { words: Words::new("fault.unreachable").with("name", contact.name.as_str()) });
        }
        for way in ways {
            self.page_by(contact, way, why, message.clone());
        }
        self.invite(contact.slack.clone());
    }

    fn page_by(&mut self, contact: &Contact, way: Way, why: PageWhy, message: Option<String>) {
        let page = self.next_page();
        let contact = Box::new(contact.clone());
        self.fact(Fact::Paged { page, contact: contact.clone(), way, why, message });
        self.effect(Effect::Page { page, contact, way });
    }

    /// The next level, the next round, or the fall-back.
    pub fn climb(&mut self) {
        let policy = self.incident.severity.policy.clone();
        let (level, round) = (self.incident.ladder.level, self.incident.ladder.round);
        if level + 1 < policy.levels.len() {
            let told_by = self.page_level(level + 1, round, true);
            self.show(Card::Notice(told_by));
        } else if round < policy.repeat {
            let told_by = self.page_level(0, round + 1, true);
            self.show(Card::Notice(told_by));
        } else {
            self.fact(Fact::LadderExhausted);
            self.notice();
            for contact in &policy.fallback {
                self.page(contact, PageWhy::Fallback, None);
            }
        }
        self.refresh();
    }

    /// A page did not get through: the next way at once (E4); when nobody of the level can be reached, the next level.
    pub fn page_failed(&mut self, id: PageId, why: &Words) {
        let Some(page) = self.incident.pages.get(&id).cloned() else {
            return;
        };
        if page.outcome != PageOutcome::Sending {
            return;
        }
        self.fact(Fact::PageFailed { page: id, why: why.clone() });
        let still_wanted = self.incident.ladder.next_at.is_some() || !matches!(page.why, PageWhy::Level { .. });
        if !still_wanted || !self.incident.status.is_open() {
            return;
        }
        let current = is_current(&self.incident, id, &page);
        if let Some(way) = next_way(&self.incident, &page, current) {
            self.page_by(&page.contact, way, page.why, page.message);
        } else if current && nobody_reached(&self.incident) {
            self.climb();
        }
    }
}

/// The next way to try for this person and reason, if one is left. What was tried before the climb began anew does not
/// count.
fn next_way(incident: &Incident, failed: &PageState, current: bool) -> Option<Way> {
    let since = if current { incident.ladder.first_page } else { 0 };
    let tried = |way: &Way| {
        let mut pages = incident.pages.iter().filter(|(id, _)| id.number >= since);
        pages.any(|(_, page)| page.contact.key == failed.contact.key && page.why == failed.why && page.way == *way)
    };
    let left = |way: &&Way| !tried(way) && failed.contact.address(**way).is_some();
    failed.contact.fall_over.iter().find(left).copied()
}

/// Every page of the level that is being tried failed.
fn nobody_reached(incident: &Incident) -> bool {
    let mut pages = incident.pages.iter().filter(|(id, page)| is_current(incident, **id, page));
    pages.all(|(_, page)| matches!(page.outcome, PageOutcome::Failed { .. }))
}

/// The page belongs to the level that is being tried. The same level of an earlier climb, before the incident became
/// worse or was opened again, does not count.
fn is_current(incident: &Incident, id: PageId, page: &PageState) -> bool {
    matches!(page.why, PageWhy::Level { .. }) && id.number >= incident.ladder.first_page
}
