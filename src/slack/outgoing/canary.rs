//! The canary: a message whose edit must come back as an event, which shows that Slack is heard and not only reached.
//!
//! A connection can look alive, answer pings, and deliver nothing. One message in a quiet channel is edited each time;
//! it is posted once, so nobody is disturbed.

use std::sync::{Mutex, PoisonError};

use super::super::budget::Urgency;
use super::super::client::Slack;
use super::super::directory::Room;
use super::super::fault::SlackFault;
use super::super::scene::Drawn;
use super::post::Mark;
use crate::incident::id::{ChannelId, MessageRef};
use crate::incident::time::{Instant, Millis};
use crate::store::{Store, StoreFault};

/// An earlier process's message is looked for so far back.
const LOOK_BACK: Millis = Millis::minutes(30 * 24 * 60);

/// Where several processes keep when one of them last heard the canary: Slack gives each event to one of them.
pub const CANARY_HEARD: &str = "canary_heard_at";

/// How soon it has to be heard.
const WITHIN: Millis = Millis::seconds(30);

/// Since when the canary has sung without being heard in time by any of those who share the database; `unheard` are the
/// songs that this process has not heard. Their clocks differ a little.
///
/// # Errors
/// When the database fails.
pub async fn unheard_by_all(store: &Store, unheard: &[Instant], now: Instant) -> Result<Option<Instant>, StoreFault> {
    let late: Vec<Instant> = unheard.iter().copied().filter(|sung| now.since(*sung) >= WITHIN).collect();
    if late.is_empty() {
        return Ok(None);
    }
    let by_another = if store.is_shared() { store.number(CANARY_HEARD).await?.map(Instant) } else { None };
    Ok(late.into_iter().find(|sung| by_another.is_none_or(|heard| heard + WITHIN < *sung)))
}

/// What is known of it; may be lost.
#[derive(Debug, Default)]
pub(in crate::slack) struct Canary(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    channel: Option<ChannelId>,
    message: Option<MessageRef>,
    sung_at: Option<Instant>,
    /// The song before. While a new one has its time to be heard, the one before is what shows deafness.
    sung_before: Option<Instant>,
    heard_at: Option<Instant>,
}

/// Why it cannot sing.
const NOT_THERE: &str =
    "Vigie is not in the channel of watch.canary, or the channel is archived; invite Vigie there, or name another one.";

/// Slack tells of a channel to its members, while it is in use. Where it may not be asked (a private channel, and an app
/// without `groups:read`) it is believed to.
fn is_heard_in(room: Result<Room, SlackFault>) -> Result<bool, SlackFault> {
    match room {
        Ok(room) => Ok(room.member && !room.archived),
        Err(fault) if fault.is("missing_scope") => Ok(true),
        Err(fault) => Err(fault),
    }
}

impl Canary {
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Slack {
    /// Posts or edits the canary's message, with `text` in it.
    ///
    /// # Errors
    /// A [`SlackFault`], also when the channel cannot be used.
    pub async fn sing(&self, channel: &ChannelId, text: &str, now: Instant) -> Result<(), SlackFault> {
        let canary = &self.memory().canary;
        let (known, sings_first) = canary.with(|state| {
            state.channel = Some(channel.clone());
            (state.message.clone(), state.sung_at.is_none())
        });
        if sings_first && !is_heard_in(self.room(channel).await)? && !self.join(channel).await {
            return Err(SlackFault::permanent("not_in_channel", NOT_THERE));
        }
        let mark = Mark { kind: "vigie_canary", fields: Vec::new() };
        let drawn = Drawn { text: text.to_owned(), blocks: Vec::new() };
        let standing = match known {
            Some(message) => Some(message),
            None => self.find_marked(channel, Some(now - LOOK_BACK), &mark).await?,
        };
        let message = match standing {
            Some(message) => match self.edit_message(&message, Urgency::Person, &drawn).await {
                Ok(()) => message,
                Err(SlackFault::Permanent { .. }) => self.post_message(channel, Urgency::Person, &drawn, &mark).await?,
                Err(fault) => return Err(fault),
            },
            None => self.post_message(channel, Urgency::Person, &drawn, &mark).await?,
        };
        // Only what was sung can be heard. It may have been by now, which is later than `now`.
        canary.with(|state| {
            state.message = Some(message);
            state.sung_before = state.sung_at.replace(now);
        });
        Ok(())
    }

    /// Whether Slack would tell of the canary's channel at all. It lets a message be edited by whoever was removed from there,
    /// and tells them of nothing; then there is another beginning.
    pub async fn may_hear_canary(&self) -> bool {
        let canary = &self.memory().canary;
        let Some(channel) = canary.with(|state| state.channel.clone()) else { return true };
        match is_heard_in(self.room(&channel).await) {
            Ok(true) => true,
            Ok(false) => {
                canary.with(|state| (state.sung_at, state.sung_before) = (None, None));
                false
            }
            Err(fault) => {
                tracing::warn!(code = fault.code(), "whether Vigie is in the canary's channel is not known");
                true
            }
        }
    }

    /// When the canary sang last.
    pub fn canary_sung_at(&self) -> Option<Instant> {
        self.memory().canary.with(|state| state.sung_at)
    }

    /// When this process last heard the canary.
    pub fn canary_heard_at(&self) -> Option<Instant> {
        self.memory().canary.with(|state| state.heard_at)
    }

    /// The last two songs of the canary, as far as this process has not heard them; the earlier one first.
    pub fn canary_unheard(&self) -> Vec<Instant> {
        self.memory().canary.with(|state| {
            let sung = [state.sung_before, state.sung_at].into_iter().flatten();
            sung.filter(|sung| state.heard_at.is_none_or(|heard| heard < *sung)).collect()
        })
    }

    /// Something was heard from a channel; true when it is the canary's.
    pub(in crate::slack) fn hears_canary(&self, channel: &str, now: Instant) -> bool {
        self.memory().canary.with(|state| {
            let ours = state.channel.as_ref().is_some_and(|known| known.0 == channel);
            if ours {
                state.heard_at = Some(now);
            }
            ours
        })
    }
}
