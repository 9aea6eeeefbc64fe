//! What people do in the channel that belongs in the timeline: 📌, the message shortcut, edits, deletions.

use std::collections::BTreeSet;

use super::decision::{ChatEvent, Context, Decision, Effect, ReplyTo};
use super::draft::Draft;
use super::id::{MessageRef, UserId};
use super::run::approvers;
use super::state::{Captured, Incident, Phase};
use super::timeline::{CapturedBy, Card, Fact};
use super::words::Words;

/// Decides what a happening in the incident's channel means for the record.
pub fn chat(context: Context<'_>, incident: &Incident, event: &ChatEvent) -> Decision {
    let mut draft = Draft::of(context, incident);
    if incident.channel.as_ref().is_none_or(|channel| &channel.id != event.channel()) {
        return draft.finish();
    }
    match event {
        ChatEvent::Pinned { by, message } => pinned(&mut draft, by, message),
        ChatEvent::Unpinned { by, message } => unpinned(&mut draft, by, message),
        ChatEvent::Shortcut { message, author, text, thread, reply, .. } => {
            shortcut(&mut draft, message, author.as_ref(), text, thread.as_ref(), reply);
        }
        ChatEvent::Edited { message, text, edited } => {
            let is_news = |captured: &Captured| {
                &captured.text != text && captured.edited.as_ref().is_none_or(|before| before < edited)
            };
            if held(&draft.incident, message).is_some_and(is_news) {
                let (message, text, edited) = (message.clone(), text.clone(), edited.clone());
                draft.fact(Fact::MessageEdited { message, text, edited });
            }
        }
        ChatEvent::Deleted { message } => {
            if held(&draft.incident, message).is_some_and(|captured| !captured.deleted) {
                draft.fact(Fact::MessageDeleted { message: message.clone() });
            }
        }
        ChatEvent::ChannelChanged { .. } => {
            draft.effect(Effect::LookAtChannel);
        }
    }
    draft.finish()
}

/// The message as it stands in the record, if it does.
fn held<'i>(incident: &'i Incident, message: &MessageRef) -> Option<&'i Captured> {
    incident.captured.get(message).filter(|captured| !captured.withdrawn)
}

/// The message is in the record because of a 📌, and goes with the last one.
fn is_held_by_pin(incident: &Incident, message: &MessageRef) -> bool {
    held(incident, message).is_some_and(|captured| captured.by == CapturedBy::Reaction && !captured.deleted)
}

fn pinned(draft: &mut Draft<'_>, by: &UserId, message: &MessageRef) {
    if held(&draft.incident, message).is_none() {
        draft.effect(Effect::ReadMessage { by: by.clone(), message: message.clone() });
    }
}

/// Somebody else's 📌 may still be there, which only Slack knows.
fn unpinned(draft: &mut Draft<'_>, by: &UserId, message: &MessageRef) {
    if is_held_by_pin(&draft.incident, message) {
        draft.effect(Effect::LookForPin { by: by.clone(), message: message.clone() });
    }
}

fn shortcut(
    draft: &mut Draft<'_>,
    message: &MessageRef,
    author: Option<&UserId>,
    text: &str,
    thread: Option<&String>,
    reply: &ReplyTo,
) {
    let key = if held(&draft.incident, message).is_some() { "reply.already_captured" } else { "reply.captured" };
    if key == "reply.captured" {
        draft.fact(Fact::MessageCaptured {
            message: message.clone(),
            author: author.cloned(),
            text: text.to_owned(),
            by: CapturedBy::Shortcut,
            thread: thread.cloned(),
        });
    }
    draft.effect(Effect::Reply { to: reply.clone(), words: Words::new(key) });
}

/// What was said nowhere while the channel was lost is said now. Notices are not: they are over.
fn make_up(draft: &mut Draft<'_>) {
    let incident = &draft.incident;
    let updates = incident.updates.keys().map(|update| Card::Update(*update));
    let diagnostics = incident.diagnostics.keys().map(|round| Card::Diagnostic(*round));
    let reminders = incident.asking_reminders().map(Card::Reminder);
    let cards: Vec<Card> = updates.chain(diagnostics).chain(reminders).collect();
    for card in cards {
        draft.show(card);
    }
}

impl Draft<'_> {
    /// Invites everybody who belongs in the channel, also those who were in before: being invited twice does nothing.
    fn invite_again(&mut self) -> &mut Self {
        let (incident, rules) = (&self.incident, self.context.rules);
        let paged = incident.pages.values().filter_map(|page| page.contact.slack.as_ref());
        let deciding = incident.runs.values().filter(|run| run.phase == Phase::Pending);
        let approving = deciding.flat_map(|run| approvers(incident, &run.action.approval.by));
        let users: BTreeSet<UserId> = paged
            .chain(&incident.invited)
            .chain(&incident.acknowledged_by)
            .chain(incident.roles.values())
            .chain(incident.declared.by.person())
            .chain(&rules.invite_always)
            .cloned()
            .chain(approving)
            .collect();
        self.effect(Effect::Invite { users: users.into_iter().collect() })
    }

    /// Slack says how the channel is.
    pub fn channel_seen(&mut self, lost: Option<&String>) {
        let was_lost = self.incident.channel.as_ref().is_some_and(|channel| channel.lost.is_some());
        match lost {
            Some(why) => self.channel_lost(why),
            None if was_lost => {
                self.fact(Fact::ChannelRegained);
                self.invite_again().notice().refresh().refresh_runs();
                make_up(self);
            }
            None => {}
        }
    }

    /// A message that somebody wants in the record was read.
    pub fn message_read(&mut self, message: &MessageRef, author: Option<&UserId>, text: &str, thread: Option<&String>) {
        if held(&self.incident, message).is_none() {
            self.fact(Fact::MessageCaptured {
                message: message.clone(),
                author: author.cloned(),
                text: text.to_owned(),
                by: CapturedBy::Reaction,
                thread: thread.cloned(),
            });
        }
    }

    /// The last 📌 was taken away.
    pub fn pin_gone(&mut self, message: &MessageRef) {
        if is_held_by_pin(&self.incident, message) {
            self.fact(Fact::CaptureWithdrawn { message: message.clone() });
        }
    }

    /// The channel cannot be used any more: said where it can still be said.
    pub fn channel_lost(&mut self, why: &str) {
        if self.incident.usable_channel().is_some() {
            self.fact(Fact::ChannelLost { why: why.to_owned() }).show(Card::Announcement);
        }
    }
}
