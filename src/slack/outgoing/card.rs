//! Cards: posted once, then edited to how the incident stands.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::{Value, json};

use super::super::budget::Urgency;
use super::super::cards;
use super::super::client::{Slack, text};
use super::super::fault::SlackFault;
use super::super::scene::{Drawn, Scene};
use super::post::{MESSAGE_GONE, Mark};
use super::{CHANNEL_LOST, channel_of, incident_of, undrawable};
use crate::incident::decision::Report;
use crate::incident::id::{ChannelId, MessageRef, PageId};
use crate::incident::people::Contact;
use crate::incident::state::Incident;
use crate::incident::timeline::Card;

/// So long a page that was posted waits for Slack to say whether the account is in use: until its end is kept it may be sent again.
const ANSWERED_WITHIN: Duration = Duration::from_millis(500);

impl Slack {
    /// Posts a card, or edits it where it stands.
    pub(super) async fn show_card(
        &self,
        scene: &Scene<'_>,
        card: &Card,
        attempt: u32,
    ) -> Result<Vec<Report>, SlackFault> {
        let incident = incident_of(scene)?;
        if let Card::PostMortem(number) = card {
            return self.show_document(scene, incident, *number, attempt).await;
        }
        if let Card::Kept(run, sha256) = card {
            return self.share_kept(scene, incident, *run, sha256, attempt).await;
        }
        if matches!(card, Card::Notice(_)) && incident.cards.contains_key(card) {
            return Ok(Vec::new());
        }
        let name = format!("{}:{}", incident.id, card.name());
        let may_stand = self.may_stand(&name, attempt);
        let shown = self.show_in_place(scene, incident, card, attempt, may_stand).await;
        // Where one before may have posted it, that this one did nothing says nothing.
        if !may_stand {
            self.note_attempt(&name, attempt, &shown);
        }
        shown
    }

    async fn show_in_place(
        &self,
        scene: &Scene<'_>,
        incident: &Incident,
        card: &Card,
        attempt: u32,
        may_stand: bool,
    ) -> Result<Vec<Report>, SlackFault> {
        let Some(channel) = self.place_of(scene, incident, card, attempt).await? else {
            return Ok(Vec::new());
        };
        let Some(drawn) = cards::draw(scene, card).map_err(|cause| undrawable("card", &cause))? else {
            return Ok(Vec::new());
        };
        let known = incident.cards.get(card).filter(|message| message.channel == channel);
        if let Some(message) = known
            && self.edit_if_there(card, message, &drawn).await?
        {
            return Ok(Vec::new());
        }
        // Also in place of one that is gone: what an earlier attempt posted then is newer than that one.
        if may_stand
            && let Some(found) = self.look_for_card(incident, card, &channel, known).await?
            && self.edit_if_there(card, &found, &drawn).await?
        {
            return Ok(vec![posted(card, found)]);
        }
        let message = self.post_card(incident, card, &channel, &drawn).await?;
        Ok(vec![posted(card, message)])
    }

    /// Edits a card where it stands; `false` when it can be edited no more and is to be posted anew.
    async fn edit_if_there(&self, card: &Card, message: &MessageRef, drawn: &Drawn) -> Result<bool, SlackFault> {
        match self.edit_message(message, Urgency::Card, drawn).await {
            Ok(()) => Ok(true),
            Err(fault) if fault.is_one_of(&MESSAGE_GONE) => {
                tracing::info!(card = card.name(), code = fault.code(), "a card is posted anew");
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Pages a person by direct message. Gives where the message stands, which is the page's note.
    ///
    /// # Errors
    /// A [`SlackFault`]: then the contact's other ways are tried.
    pub async fn page_by_slack(
        &self,
        scene: &Scene<'_>,
        page: PageId,
        contact: &Contact,
        attempt: u32,
    ) -> Result<MessageRef, SlackFault> {
        let incident = incident_of(scene)?;
        let card = Card::Page(page);
        if let Some(message) = incident.cards.get(&card) {
            return Ok(message.clone());
        }
        let channel = self.conversation_with(contact).await?;
        let drawn = cards::draw(scene, &card).map_err(|cause| undrawable("page", &cause))?;
        let drawn =
            drawn.ok_or_else(|| SlackFault::permanent("no_page", "The incident knows nothing of this page."))?;
        if attempt > 1
            && let Some(found) = self.look_for_card(incident, &card, &channel, None).await?
        {
            return Ok(found);
        }
        let Some(user) = &contact.slack else { return Err(no_slack_id(contact)) };
        let posting = pin!(self.post_card(incident, &card, &channel, &drawn));
        // Side by side: a page never waits for the answer.
        let (sent, has_left) = match select(posting, pin!(self.has_left(user))).await {
            Either::Right((has_left, posting)) => (posting.await, has_left),
            Either::Left((sent, asking)) => match tokio::time::timeout(ANSWERED_WITHIN, asking).await {
                Ok(has_left) => (sent, has_left),
                Err(_) => {
                    tracing::info!(%user, "Slack did not say in time whether the account is in use");
                    (sent, false)
                }
            },
        };
        if has_left || sent.as_ref().is_err_and(|fault| fault.is_one_of(&CHANNEL_LOST)) {
            self.forget_direct_messages(user);
        }
        if has_left {
            let why = format!("{}’s account in Slack is switched off (user_disabled).", contact.name);
            return Err(SlackFault::permanent("user_disabled", why));
        }
        sent
    }

    /// Where a card stands, or will stand; `None` for one that this team does not show.
    async fn place_of(
        &self,
        scene: &Scene<'_>,
        incident: &Incident,
        card: &Card,
        attempt: u32,
    ) -> Result<Option<ChannelId>, SlackFault> {
        match card {
            Card::Announcement => Ok(scene.rules.announce_in.clone()),
            Card::Page(page) => match (incident.cards.get(card), incident.pages.get(page)) {
                (Some(message), _) => Ok(Some(message.channel.clone())),
                (None, Some(state)) => self.conversation_with(&state.contact).await.map(Some),
                (None, None) => Ok(None),
            },
            _ => channel_of(incident, attempt).map(|channel| Some(channel.id.clone())),
        }
    }

    async fn conversation_with(&self, contact: &Contact) -> Result<ChannelId, SlackFault> {
        let Some(user) = &contact.slack else {
            return Err(no_slack_id(contact));
        };
        self.direct_messages(user).await
    }

    /// Posts a card for the first time.
    async fn post_card(
        &self,
        incident: &Incident,
        card: &Card,
        channel: &ChannelId,
        drawn: &Drawn,
    ) -> Result<MessageRef, SlackFault> {
        let urgency = match card {
            Card::Page(_) => Urgency::Person,
            _ => Urgency::Card,
        };
        let mark = mark(incident, card);
        let mut sent = self.post_message(channel, urgency, drawn, &mark).await;
        if *card == Card::Announcement
            && let Err(fault) = &sent
            && fault.is("not_in_channel")
            && self.join(channel).await
        {
            sent = self.post_message(channel, urgency, drawn, &mark).await;
        }
        sent
    }

    /// The newest copy, of those that are newer than `gone`. A page is better sent twice than not at all, and where the history
    /// may not be read nothing can be looked for.
    async fn look_for_card(
        &self,
        incident: &Incident,
        card: &Card,
        channel: &ChannelId,
        gone: Option<&MessageRef>,
    ) -> Result<Option<MessageRef>, SlackFault> {
        let since = Some(incident.declared.at);
        let mark = mark(incident, card);
        let is_newer = |message: &Value| gone.is_none_or(|gone| text(message, "/ts") > gone.ts);
        let wanted = |message: &Value| mark.is_on(message) && is_newer(message);
        let mut found = self.find_message(channel, since, wanted).await;
        if *card == Card::Announcement
            && let Err(fault) = &found
            && fault.is("not_in_channel")
            && self.join(channel).await
        {
            found = self.find_message(channel, since, wanted).await;
        }
        match found {
            Err(fault) if matches!(card, Card::Page(_)) || fault.is("missing_scope") => {
                tracing::warn!(card = card.name(), code = fault.code(), "could not look for an earlier copy");
                Ok(None)
            }
            other => other,
        }
    }

    /// A public channel that the configuration names can be entered without being asked.
    pub(super) async fn join(&self, channel: &ChannelId) -> bool {
        let body = json!({"channel": channel.0});
        let joined = self.post("conversations.join", Urgency::Card, "", &body).await;
        if let Err(fault) = &joined {
            tracing::warn!(code = fault.code(), "a channel of the configuration could not be joined");
        }
        joined.is_ok()
    }

    /// Pins the incident's card. Where Slack refuses for good it is a card all the same.
    pub(super) async fn pin_card(&self, scene: &Scene<'_>) -> Result<Vec<Report>, SlackFault> {
        let Some(message) = incident_of(scene)?.cards.get(&Card::Incident) else { return Ok(Vec::new()) };
        let body = json!({"channel": message.channel.0, "timestamp": message.ts});
        match self.post("pins.add", Urgency::Card, "", &body).await {
            Err(SlackFault::Permanent { code, why }) => {
                if code != "already_pinned" {
                    tracing::warn!(code, why, "the incident card could not be pinned");
                }
                Ok(Vec::new())
            }
            other => other.map(|_| Vec::new()),
        }
    }
}

fn no_slack_id(contact: &Contact) -> SlackFault {
    SlackFault::permanent("no_slack_id", format!("{} has no Slack id in the configuration.", contact.name))
}

fn mark(incident: &Incident, card: &Card) -> Mark {
    Mark { kind: "vigie_card", fields: vec![("incident", incident.id.to_string()), ("card", card.name())] }
}

fn posted(card: &Card, message: MessageRef) -> Report {
    Report::CardPosted { card: card.clone(), message }
}
