//! A decision in the making: each fact is applied at once, so that what is decided next sees it.

use std::collections::{BTreeMap, BTreeSet};

use super::decision::{Context, Decision, Effect, ReplyTo};
use super::id::{ChannelId, DiagnosticId, PageId, RunId, UpdateId, UserId};
use super::state::{BadTimeline, Incident, Status};
use super::timeline::{Card, Entry, Fact};
use super::waiting::{Waiting, involved, waiting};
use super::words::Words;

/// A decision in the making, with the incident as it stands after the facts so far.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What it is made from.
    pub context: Context<'a>,
    /// The incident after the facts so far.
    pub incident: Incident,
    decision: Decision,
    before: Option<AtHome>,
}

/// What Home tabs show of an incident.
#[derive(Debug, PartialEq)]
struct AtHome {
    line: (Status, String, Option<ChannelId>),
    waiting: BTreeMap<UserId, Vec<Waiting>>,
}

impl AtHome {
    fn of(context: Context<'_>, incident: &Incident) -> Self {
        let channel = incident.usable_channel().map(|channel| channel.id.clone());
        Self {
            line: (incident.status, incident.severity.label.clone(), channel),
            waiting: waiting(context.rules, incident, context.now),
        }
    }
}

impl<'a> Draft<'a> {
    /// Begins with an incident as it stands.
    pub fn of(context: Context<'a>, incident: &Incident) -> Self {
        let before = Some(AtHome::of(context, incident));
        Self { context, incident: incident.clone(), decision: Decision::default(), before }
    }

    /// Begins with the declaration of a new incident.
    ///
    /// # Errors
    /// When `fact` is not a declaration.
    pub fn declare(context: Context<'a>, fact: Fact) -> Result<Self, BadTimeline> {
        let entry = Entry { seq: 1, at: context.now, by: context.by.clone(), fact };
        let incident = Incident::declared(&entry)?;
        let decision = Decision { facts: vec![entry.fact], effects: Vec::new() };
        Ok(Self { context, incident, decision, before: None })
    }

    /// Adds a fact.
    pub fn fact(&mut self, fact: Fact) -> &mut Self {
        let entry = Entry { seq: self.incident.seq + 1, at: self.context.now, by: self.context.by.clone(), fact };
        self.incident.apply(&entry);
        self.decision.facts.push(entry.fact);
        self
    }

    /// Adds an effect.
    pub fn effect(&mut self, effect: Effect) -> &mut Self {
        self.decision.effects.push(effect);
        self
    }

    /// Has a card posted, or brought up to date. Cards of a channel that is lost are left out: they would fail.
    pub fn show(&mut self, card: Card) -> &mut Self {
        let lost = self.incident.channel.as_ref().is_some_and(|channel| channel.lost.is_some());
        let elsewhere = matches!(card, Card::Announcement | Card::Page(_));
        let nowhere = card == Card::Announcement && self.context.rules.announce_in.is_none();
        if (lost && !elsewhere) || nowhere { self } else { self.effect(Effect::ShowCard { card }) }
    }

    /// Tells the channel of the newest fact in a message of its own.
    pub fn notice(&mut self) -> &mut Self {
        self.show(Card::Notice(self.incident.seq))
    }

    /// Brings everything that shows the incident's state up to date.
    pub fn refresh(&mut self) -> &mut Self {
        self.show(Card::Incident).show(Card::Announcement);
        if self.incident.usable_channel().is_some() {
            self.effect(Effect::Topic);
        }
        self
    }

    /// Brings somebody's Home tab up to date, where time alone has changed it.
    pub fn home(&mut self, users: impl IntoIterator<Item = UserId>) -> &mut Self {
        for user in users {
            let effect = Effect::Home { user };
            if !self.decision.effects.contains(&effect) {
                self.decision.effects.push(effect);
            }
        }
        self
    }

    /// The first pages are drawn before anybody knows what becomes of the channel: one that was posted after that was
    /// decided is brought in line with it.
    pub fn mend_page(&mut self, page: PageId) -> &mut Self {
        let decided = self.incident.channel.is_some() || self.incident.channel_refused.is_some();
        let first = self.incident.pages.get(&page).is_some_and(|page| page.mark.at == self.incident.declared.at);
        if decided && first {
            self.show(Card::Page(page));
        }
        self
    }

    /// Brings the direct messages of the pages up to date.
    pub fn refresh_pages(&mut self) -> &mut Self {
        let pages: Vec<PageId> = self
            .incident
            .cards
            .keys()
            .filter_map(|card| match card {
                Card::Page(page) => Some(*page),
                _ => None,
            })
            .collect();
        for page in pages {
            self.show(Card::Page(page));
        }
        self
    }

    /// Brings every run's card up to date: what can be decided on it depends on whether the incident is open.
    pub fn refresh_runs(&mut self) -> &mut Self {
        let runs: Vec<RunId> = self.incident.runs.keys().copied().collect();
        for run in runs {
            self.show(Card::Run(run));
        }
        self
    }

    /// Invites people who are not in the channel yet.
    pub fn invite(&mut self, users: impl IntoIterator<Item = UserId>) -> &mut Self {
        let mut missing: Vec<UserId> = Vec::new();
        for user in users {
            if !self.incident.invited.contains(&user) && !missing.contains(&user) {
                missing.push(user);
            }
        }
        let lost = self.incident.channel.as_ref().is_some_and(|channel| channel.lost.is_some());
        if missing.is_empty() || lost {
            return self;
        }
        let asked = self.decision.effects.iter_mut().find_map(|effect| match effect {
            Effect::Invite { users } => Some(users),
            _ => None,
        });
        match asked {
            Some(asked) => {
                missing.retain(|user| !asked.contains(user));
                asked.append(&mut missing);
            }
            None => self.decision.effects.push(Effect::Invite { users: missing }),
        }
        self
    }

    /// Invites whoever acts.
    pub fn invite_actor(&mut self) -> &mut Self {
        let user = self.context.by.person().cloned();
        self.invite(user)
    }

    /// Answers whoever asked.
    pub fn reply(&mut self, words: Words) -> &mut Self {
        match self.context.reply {
            ReplyTo::Nobody => self,
            to => self.effect(Effect::Reply { to: to.clone(), words }),
        }
    }

    /// The name of the next page.
    pub fn next_page(&self) -> PageId {
        PageId { incident: self.incident.id, number: next(self.incident.pages.len()) }
    }

    /// The name of the next run.
    pub fn next_run(&self) -> RunId {
        RunId { incident: self.incident.id, number: next(self.incident.runs.len()) }
    }

    /// The name of the next status update.
    pub fn next_update(&self) -> UpdateId {
        UpdateId { incident: self.incident.id, number: next(self.incident.updates.len()) }
    }

    /// The name of the next round of diagnostics.
    pub fn next_diagnostic(&self) -> DiagnosticId {
        DiagnosticId { incident: self.incident.id, number: next(self.incident.diagnostics.len()) }
    }

    /// What was decided. Home is drawn anew for everybody for whom something else waits now, and for everybody involved
    /// when the incident's own line has changed.
    pub fn finish(mut self) -> Decision {
        let after = AtHome::of(self.context, &self.incident);
        if self.before.as_ref() != Some(&after) {
            let homes = changed(self.before.as_ref(), &after, &involved(&self.incident));
            let actor = self.context.by.person().cloned();
            self.home(homes.into_iter().chain(actor));
        }
        self.decision
    }
}

/// Whose Home shows something else than before.
fn changed(before: Option<&AtHome>, after: &AtHome, involved: &BTreeSet<UserId>) -> BTreeSet<UserId> {
    let nothing = BTreeMap::new();
    let waited = before.map_or(&nothing, |before| &before.waiting);
    let of = |user: &&UserId| waited.get(*user) != after.waiting.get(*user);
    let mut users: BTreeSet<UserId> = waited.keys().chain(after.waiting.keys()).filter(of).cloned().collect();
    if before.is_none_or(|before| before.line != after.line) {
        users.extend(involved.iter().cloned());
    }
    users
}

fn next(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1)
}
