//! What the engine asks of Slack: the one seam between the shell and the chat, so that a simulated Slack can stand there.

use async_trait::async_trait;

use crate::incident::decision::{Effect, Report};
use crate::incident::id::{ChannelId, MessageRef, PageId};
use crate::incident::people::Contact;
use crate::incident::time::Instant;
use crate::slack::scene::Scene;
use crate::slack::{Slack, SlackFault};

/// Slack, as far as the engine needs it. Every call says how it ended, or that nobody knows; none is made twice blindly.
#[async_trait]
pub trait Chat: std::fmt::Debug + Send + Sync {
    /// Does what a chat effect asks for; `attempt` counts from 1.
    ///
    /// # Errors
    /// A [`SlackFault`].
    async fn carry_out(&self, scene: &Scene<'_>, effect: &Effect, attempt: u32) -> Result<Vec<Report>, SlackFault>;

    /// Pages a person by direct message, and gives where it stands.
    ///
    /// # Errors
    /// A [`SlackFault`]: then the contact's other ways are tried.
    async fn page(
        &self,
        scene: &Scene<'_>,
        page: PageId,
        contact: &Contact,
        attempt: u32,
    ) -> Result<MessageRef, SlackFault>;

    /// Posts a text that `key` names for ever.
    ///
    /// # Errors
    /// A [`SlackFault`].
    async fn post_text(
        &self,
        channel: &ChannelId,
        text: &str,
        key: &str,
        attempt: u32,
    ) -> Result<MessageRef, SlackFault>;

    /// The workspace's address, once Slack has told it.
    fn workspace(&self) -> Option<&str>;

    /// Posts or edits the canary's message.
    ///
    /// # Errors
    /// A [`SlackFault`].
    async fn sing(&self, channel: &ChannelId, text: &str, now: Instant) -> Result<(), SlackFault>;

    /// The last songs of the canary that were not heard, the earliest first.
    fn canary_unheard(&self) -> Vec<Instant>;

    /// When the canary was last heard here.
    fn canary_heard_at(&self) -> Option<Instant>;

    /// Whether Slack would tell of the canary's channel at all.
    async fn may_hear_canary(&self) -> bool;

    /// Why Slack takes the bot token no more, if it said so; asked anew then.
    async fn refusal(&self) -> Option<String>;
}

#[async_trait]
impl Chat for Slack {
    async fn carry_out(&self, scene: &Scene<'_>, effect: &Effect, attempt: u32) -> Result<Vec<Report>, SlackFault> {
        Slack::carry_out(self, scene, effect, attempt).await
    }

    async fn page(
        &self,
        scene: &Scene<'_>,
        page: PageId,
        contact: &Contact,
        attempt: u32,
    ) -> Result<MessageRef, SlackFault> {
        self.page_by_slack(scene, page, contact, attempt).await
    }

    async fn post_text(
        &self,
        channel: &ChannelId,
        text: &str,
        key: &str,
        attempt: u32,
    ) -> Result<MessageRef, SlackFault> {
        Slack::post_text(self, channel, text, key, attempt).await
    }

    fn workspace(&self) -> Option<&str> {
        self.known_identity().map(|identity| identity.url.as_str())
    }

    async fn sing(&self, channel: &ChannelId, text: &str, now: Instant) -> Result<(), SlackFault> {
        Slack::sing(self, channel, text, now).await
    }

    fn canary_unheard(&self) -> Vec<Instant> {
        Slack::canary_unheard(self)
    }

    fn canary_heard_at(&self) -> Option<Instant> {
        Slack::canary_heard_at(self)
    }

    async fn may_hear_canary(&self) -> bool {
        Slack::may_hear_canary(self).await
    }

    async fn refusal(&self) -> Option<String> {
        self.refusal_still().await
    }
}
