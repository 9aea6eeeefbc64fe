//! Answers that one person sees, and their Home tab.

use serde_json::{Value, json};

use super::super::budget::Urgency;
use super::super::cards::{sheets, words};
use super::super::client::Slack;
use super::super::fault::SlackFault;
use super::super::scene::{Drawn, Scene};
use super::super::views;
use super::post::{Mark, blocks};
use super::{locale_of, undrawable};
use crate::incident::decision::{ReplyTo, Report, Sheet};
use crate::incident::id::{ChannelId, UserId};
use crate::incident::words::Words;

impl Slack {
    /// Answers with one sentence.
    pub(super) async fn reply(
        &self,
        scene: &Scene<'_>,
        to: &ReplyTo,
        words: &Words,
    ) -> Result<Vec<Report>, SlackFault> {
        let ReplyTo::Person { user, .. } = to else {
            return Ok(Vec::new());
        };
        let text = words::say(scene, locale_of(scene, user), words).map_err(|cause| undrawable("answer", &cause))?;
        let drawn = Drawn { text, blocks: Vec::new() };
        self.answer(to, &drawn).await?;
        Ok(Vec::new())
    }

    /// Answers with more than a sentence.
    pub(super) async fn reply_with(
        &self,
        scene: &Scene<'_>,
        to: &ReplyTo,
        sheet: &Sheet,
    ) -> Result<Vec<Report>, SlackFault> {
        let ReplyTo::Person { user, .. } = to else {
            return Ok(Vec::new());
        };
        let drawn = sheets::draw(scene, sheet, locale_of(scene, user)).map_err(|cause| undrawable("answer", &cause))?;
        self.answer(to, &drawn).await?;
        Ok(Vec::new())
    }

    /// By the address that came with the question while it lives (30 minutes, five uses), else as a message that only
    /// this person sees, else as a direct message.
    pub(in crate::slack) async fn answer(&self, to: &ReplyTo, drawn: &Drawn) -> Result<(), SlackFault> {
        let ReplyTo::Person { user, channel, response_url } = to else {
            return Ok(());
        };
        if let Some(address) = response_url {
            match self.answer_by_address(address, drawn).await {
                Ok(()) => return Ok(()),
                Err(fault @ SlackFault::Retry { .. }) if !fault.code().starts_with("http_") => return Err(fault),
                Err(fault) => tracing::debug!(code = fault.code(), "the response_url does not work any more"),
            }
        }
        if let Some(channel) = channel {
            match self.answer_in_channel(user, channel, drawn).await {
                Ok(()) => return Ok(()),
                Err(SlackFault::Permanent { code, .. }) => {
                    tracing::debug!(code, "the answer goes by direct message");
                }
                Err(fault) => return Err(fault),
            }
        }
        let conversation = self.direct_messages(user).await?;
        let mark = Mark { kind: "vigie_answer", fields: vec![("user", user.0.clone())] };
        self.post_message(&conversation, Urgency::Person, drawn, &mark).await.map(|_| ())
    }

    async fn answer_by_address(&self, address: &str, drawn: &Drawn) -> Result<(), SlackFault> {
        let mut body = json!({"response_type": "ephemeral", "replace_original": false, "text": drawn.text});
        add_blocks(&mut body, drawn)?;
        self.post_to_address("response_url", address, &body).await
    }

    async fn answer_in_channel(&self, user: &UserId, channel: &ChannelId, drawn: &Drawn) -> Result<(), SlackFault> {
        let mut body = json!({"channel": channel.0, "user": user.0, "text": drawn.text});
        add_blocks(&mut body, drawn)?;
        self.post("chat.postEphemeral", Urgency::Person, &channel.0, &body).await.map(|_| ())
    }

    /// Publishes somebody's Home tab. Whoever has left the workspace has none.
    pub(super) async fn publish_home(&self, scene: &Scene<'_>, user: &UserId) -> Result<Vec<Report>, SlackFault> {
        match self.profile(user).await {
            Ok(profile) if profile.deleted => return Ok(Vec::new()),
            Err(fault) if fault.is_one_of(&["user_not_found", "user_not_visible"]) => return Ok(Vec::new()),
            // Who somebody is need not be known to draw for them.
            Ok(_) | Err(_) => {}
        }
        let view = views::home(scene, user).map_err(|cause| undrawable("Home tab", &cause))?;
        let view = serde_json::to_value(view).map_err(|cause| undrawable("Home tab", &cause))?;
        let body = json!({"user_id": user.0, "view": view});
        match self.post("views.publish", Urgency::Card, "", &body).await {
            Ok(_) => Ok(Vec::new()),
            // Not a fault of the incident's: the app has no Home tab, or the person cannot see it.
            Err(SlackFault::Permanent { code, why }) => {
                tracing::info!(code, why, "no Home tab was published");
                Ok(Vec::new())
            }
            Err(fault) => Err(fault),
        }
    }

    /// Opens a dialog for whoever just clicked or typed; the permission lives 3 s and works once.
    pub(in crate::slack) async fn open_view(&self, trigger: &str, view: &Value) -> Result<(), SlackFault> {
        let body = json!({"trigger_id": trigger, "view": view});
        self.post("views.open", Urgency::Person, "", &body).await.map(|_| ())
    }

    /// Shows a dialog that is open anew.
    pub(in crate::slack) async fn update_view(&self, id: &str, hash: &str, view: &Value) -> Result<(), SlackFault> {
        let body = json!({"view_id": id, "hash": hash, "view": view});
        self.post("views.update", Urgency::Person, "", &body).await.map(|_| ())
    }
}

fn add_blocks(body: &mut Value, drawn: &Drawn) -> Result<(), SlackFault> {
    if !drawn.blocks.is_empty() {
        body["blocks"] = blocks(drawn)?;
    }
    Ok(())
}
