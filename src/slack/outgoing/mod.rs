//! What Vigie does in Slack: one [`Effect`] in, what became of it out.
//!
//! Everything here may be done twice with the effect of once: a channel is adopted, a card is looked for by its
//! metadata, a topic is compared. Nothing here decides what follows from a failure: a channel that is gone comes back
//! as [`Report::ChatFailed`], everything else as a [`SlackFault`].

mod canary;
mod card;
mod channel;
mod content;
mod document;
mod find;
mod groups;
mod kept;
mod name;
mod post;
mod read;
mod reply;

use super::cards::pen::Pen;
use super::client::Slack;
use super::fault::SlackFault;
use super::scene::Scene;
use crate::incident::decision::{Effect, Report};
use crate::incident::id::UserId;
use crate::incident::state::Incident;
use crate::render::Locale;

pub(super) use canary::Canary;
pub use canary::{CANARY_HEARD, unheard_by_all};
pub(super) use channel::Decoration;
pub(super) use content::content;
pub use name::channel_name;
pub(super) use read::PINS;

/// Slack's words for a channel that cannot be used any more.
pub(super) const CHANNEL_LOST: [&str; 3] = ["is_archived", "channel_not_found", "not_in_channel"];

impl Slack {
    /// Does what `effect` asks for. `attempt` counts from 1; from the second on, what may have been done is looked for
    /// before it is done again.
    ///
    /// # Errors
    /// A [`SlackFault`]. A channel that is archived, deleted or closed to Vigie is no fault but a report, since only
    /// the core knows what follows.
    pub async fn carry_out(&self, scene: &Scene<'_>, effect: &Effect, attempt: u32) -> Result<Vec<Report>, SlackFault> {
        let done = match effect {
            Effect::OpenChannel => self.open_channel(scene).await,
            Effect::ShowCard { card } => self.show_card(scene, card, attempt).await,
            Effect::LookAtChannel => self.look_at_channel(scene).await,
            Effect::PinCard => self.pin_card(scene).await,
            Effect::Topic => self.refresh_topic(scene).await,
            Effect::Invite { users } => self.invite(scene, users, attempt).await,
            Effect::Home { user } => self.publish_home(scene, user).await,
            Effect::Reply { to, words } => self.reply(scene, to, words).await,
            Effect::ReplyWith { to, sheet } => self.reply_with(scene, to, sheet).await,
            Effect::ReadMessage { by, message } => self.read_message(scene, by, message).await,
            Effect::LookForPin { by, message } => self.look_for_pin(by, message).await,
            Effect::AskGroups { .. } => self.ask_groups(effect).await,
            Effect::Page { .. }
            | Effect::Diagnose { .. }
            | Effect::Offer { .. }
            | Effect::Plan { .. }
            | Effect::KeepState { .. }
            | Effect::TellRun { .. }
            | Effect::Run { .. }
            | Effect::Deliver { .. } => {
                Err(SlackFault::permanent("not_chat", "This effect belongs to another lane than Slack's."))
            }
        };
        match done {
            Err(fault) if fault.is_one_of(&CHANNEL_LOST) => Ok(vec![failed(effect, &fault)]),
            other => other,
        }
    }
}

/// The report that something could not be done for good.
fn failed(effect: &Effect, fault: &SlackFault) -> Report {
    Report::ChatFailed { effect: Box::new(effect.clone()), code: fault.code().to_owned(), why: fault.words() }
}

/// The incident that an effect belongs to.
fn incident_of<'a>(scene: &Scene<'a>) -> Result<&'a Incident, SlackFault> {
    scene
        .incident
        .ok_or_else(|| SlackFault::permanent("no_incident", "This effect belongs to an incident, and none was given."))
}

/// The incident's channel, if it can be used. Waits for it a little: the report that it exists may still be on its way.
fn channel_of(incident: &Incident, attempt: u32) -> Result<&crate::incident::state::Channel, SlackFault> {
    const PATIENCE: u32 = 12;
    match &incident.channel {
        Some(channel) => match &channel.lost {
            None => Ok(channel),
            Some(code) => Err(SlackFault::permanent(code, "The incident's channel cannot be used any more.")),
        },
        None if attempt <= PATIENCE => Err(SlackFault::retry(
            "no_channel_yet",
            Some(std::time::Duration::from_millis(200)),
            "The incident's channel does not exist yet.",
        )),
        None => Err(SlackFault::permanent("no_channel", "The incident has no channel.")),
    }
}

/// Drawing failed: a fault of a template, never of Slack. The details are for the log.
fn undrawable(what: &str, cause: &dyn std::fmt::Display) -> SlackFault {
    tracing::error!(what, %cause, "could not be drawn");
    let why = format!("The {what} could not be drawn from its template; the log says why.");
    SlackFault::permanent("not_drawn", why)
}

/// The language a person reads: their contact's, else the workspace's.
pub(super) fn locale_of(scene: &Scene<'_>, user: &UserId) -> Locale {
    Pen::for_user(scene, user).locale
}
