//! Climbing: who is paged now, who next, and what when nobody can be reached (field procedures E2, E4).

use super::decision::Effect;
use super::draft::Draft;
use super::id::PageId;
use super::people::{Contact, Way};
use super::state::{Incident, PageOutcome, PageState};
use super::timeline::{Fact, PageWhy};
use super::words::Words;

impl Draft<'_> {
    /// Pages a level of the ladder and invites its people.
    pub fn page_level(&mut self, level: usize, round: u32, because_silent: bool) {
        let contacts = self.incident.severity.policy.levels.get(level).map(|l| l.contacts.clone()).unwrap_or_default();
        self.fact(Fact::Escalated { level, round, because_silent });
        for contact in &contacts {
            self.page(contact, PageWhy::Level { level, round }, None);
        }
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
            self.page_level(level + 1, round, true);
            self.notice_of_escalation();
        } else if round < policy.repeat {
            self.page_level(0, round + 1, true);
            self.notice_of_escalation();
        } else {
            self.fact(Fact::LadderExhausted);
            self.notice();
            for contact in &policy.fallback {
                self.page(contact, PageWhy::Fallback, None);
            }
        }
        self.refresh();
    }

    /// The escalation is told by its own entry, which stands before those of its pages.
    fn notice_of_escalation(&mut self) {
        let pages = self.incident.pages.values().filter(|page| {
            matches!(page.why, PageWhy::Level { level, round }
                if level == self.incident.ladder.level && round == self.incident.ladder.round)
        });
        let count = u64::try_from(pages.count()).unwrap_or_default();
        self.show(super::timeline::Card::Notice(self.incident.seq.saturating_sub(count)));
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
        if let Some(way) = next_way(&self.incident, &page) {
            self.page_by(&page.contact, way, page.why, page.message);
        } else if nobody_reached(&self.incident, page.why) && is_current(&self.incident, page.why) {
            self.climb();
        }
    }
}

/// The next way to try for this person and reason, if one is left.
fn next_way(incident: &Incident, failed: &PageState) -> Option<Way> {
    let tried = |way: &Way| {
        incident
            .pages
            .values()
            .any(|page| page.contact.key == failed.contact.key && page.why == failed.why && page.way == *way)
    };
    let left = |way: &&Way| !tried(way) && failed.contact.address(**way).is_some();
    failed.contact.fall_over.iter().find(left).copied()
}

/// Every page sent for this reason failed.
fn nobody_reached(incident: &Incident, why: PageWhy) -> bool {
    let mut pages = incident.pages.values().filter(|page| page.why == why);
    pages.all(|page| matches!(page.outcome, PageOutcome::Failed { .. }))
}

fn is_current(incident: &Incident, why: PageWhy) -> bool {
    matches!(why, PageWhy::Level { level, round }
        if level == incident.ladder.level && round == incident.ladder.round)
}
