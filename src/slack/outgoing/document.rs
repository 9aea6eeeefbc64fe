//! The post-mortem: a file in the incident's channel and, where the workspace has canvases, the channel's canvas.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::budget::Urgency;
use super::super::client::{Slack, text};
use super::super::fault::{self, SlackFault};
use super::super::paper::{self, Document};
use super::super::scene::Scene;
use super::{CHANNEL_LOST, channel_of, undrawable};
use crate::incident::decision::Report;
use crate::incident::id::{ChannelId, MessageRef};
use crate::incident::state::Incident;
use crate::incident::timeline::Card;

/// Slack shares a file a moment after it says so; the next attempt finds it.
pub(super) fn not_shared_yet(what: &str) -> SlackFault {
    let why = format!("Slack took the {what} and does not show it in the channel yet.");
    SlackFault::retry("not_shared_yet", Some(Duration::from_secs(2)), why)
}

impl Slack {
    /// Uploads one version of the post-mortem, once, in place of the version before.
    pub(super) async fn show_document(
        &self,
        scene: &Scene<'_>,
        incident: &Incident,
        number: u32,
        attempt: u32,
    ) -> Result<Vec<Report>, SlackFault> {
        let card = Card::PostMortem(number);
        if incident.cards.contains_key(&card) {
            return Ok(Vec::new());
        }
        let channel = channel_of(incident, attempt)?.id.clone();
        let name = format!("inc-{}-post-mortem-{number}.md", incident.id.0);
        let document = paper::document(scene, incident).map_err(|cause| undrawable("post-mortem", &cause))?;
        let (shared, is_new) = self.share_once(incident, &channel, &name, &document, attempt).await?;
        if is_new {
            self.write_canvas(&channel, &document).await;
        }
        let message = shared.ok_or_else(|| not_shared_yet("post-mortem"))?;
        self.take_earlier_away(incident, number).await?;
        Ok(vec![Report::CardPosted { card, message }])
    }

    /// Uploads a document under a name of its own, once: where it stands, if Slack shows it already, and whether it was
    /// uploaded just now.
    pub(super) async fn share_once(
        &self,
        incident: &Incident,
        channel: &ChannelId,
        name: &str,
        document: &Document,
        attempt: u32,
    ) -> Result<(Option<MessageRef>, bool), SlackFault> {
        let key = (channel.clone(), name.to_owned());
        let mut shared = if attempt > 1 { self.find_file(channel, incident, name).await? } else { None };
        let is_new = shared.is_none() && !self.memory().shared.contains_key(&key);
        if is_new {
            let file = self.share_file(channel, name, document).await?;
            self.memory().shared.insert(key.clone(), file);
            shared = self.find_file(channel, incident, name).await?;
        }
        if shared.is_none() {
            shared = self.where_shared(channel, &key).await?;
        }
        if shared.is_some() {
            self.memory().shared.remove(&key);
        }
        Ok((shared, is_new))
    }

    /// One version is enough to look at: the messages of those before go. Each holds less than the new one, and the
    /// record keeps everything.
    async fn take_earlier_away(&self, incident: &Incident, number: u32) -> Result<(), SlackFault> {
        const METHOD: &str = "chat.delete";
        for earlier in (1..number).rev().filter_map(|earlier| incident.cards.get(&Card::PostMortem(earlier))) {
            let body = json!({"channel": earlier.channel, "ts": earlier.ts});
            match self.post(METHOD, Urgency::Card, &earlier.channel.0, &body).await {
                Ok(_) => {}
                // Those before it went with it.
                Err(fault) if fault.is("message_not_found") => break,
                Err(fault @ SlackFault::Retry { .. }) => return Err(fault),
                Err(fault) => {
                    tracing::info!(
                        code = fault.code(),
                        why = fault.why(),
                        "an earlier post-mortem stays in the channel"
                    );
                    break;
                }
            }
        }
        Ok(())
    }

    async fn share_file(&self, channel: &ChannelId, name: &str, document: &Document) -> Result<String, SlackFault> {
        const METHOD: &str = "files.getUploadURLExternal";
        let bytes = document.markdown.as_bytes();
        let query = [("filename", name.to_owned()), ("length", bytes.len().to_string())];
        let place = self.get(METHOD, Urgency::Card, &query).await?;
        let (address, file) = (text(&place, "/upload_url"), text(&place, "/file_id"));
        if address.is_empty() || file.is_empty() {
            return Err(fault::garbage(METHOD));
        }
        self.upload(&address, bytes).await?;
        let body = json!({
            "files": [{"id": file, "title": document.title}],
            "channel_id": channel.0,
            "initial_comment": document.comment,
        });
        self.post("files.completeUploadExternal", Urgency::Card, "", &body).await?;
        Ok(file)
    }

    /// Where Slack says that a file stands which it took a moment ago.
    async fn where_shared(
        &self,
        channel: &ChannelId,
        key: &(ChannelId, String),
    ) -> Result<Option<MessageRef>, SlackFault> {
        let Some(file) = self.memory().shared.get(key).map(|file| file.clone()) else {
            return Ok(None);
        };
        let answer = self.get("files.info", Urgency::Card, &[("file", file)]).await?;
        let ts = ["public", "private"].iter().find_map(|kind| {
            let shares = answer.pointer(&format!("/file/shares/{kind}/{channel}"))?;
            shares.pointer("/0/ts")?.as_str().map(str::to_owned)
        });
        Ok(ts.map(|ts| MessageRef { channel: channel.clone(), ts }))
    }

    async fn find_file(
        &self,
        channel: &ChannelId,
        incident: &Incident,
        name: &str,
    ) -> Result<Option<MessageRef>, SlackFault> {
        let has_it = |message: &Value| {
            let files = message.pointer("/files").and_then(Value::as_array);
            files.into_iter().flatten().any(|file| text(file, "/name") == name)
        };
        self.find_message(channel, Some(incident.declared.at), has_it).await
    }

    /// The channel's canvas is a comfort: the file is the record. A workspace without canvases is told in the log.
    async fn write_canvas(&self, channel: &ChannelId, document: &Document) {
        let content = json!({"type": "markdown", "markdown": document.markdown});
        let body = json!({"channel_id": channel.0, "title": document.title, "document_content": content});
        let made = self.post("conversations.canvases.create", Urgency::Card, "", &body).await;
        let written = match made {
            Err(fault)
                if fault.is_one_of(&["channel_canvas_already_exists", "free_team_canvas_tab_already_exists"]) =>
            {
                self.replace_canvas(channel, &content).await
            }
            other => other.map(|_| ()),
        };
        match written {
            Ok(()) => {}
            Err(fault) if fault.is_one_of(&CHANNEL_LOST) => {}
            Err(fault) => tracing::info!(
                code = fault.code(),
                why = fault.why(),
                "the post-mortem is in the channel as a file only"
            ),
        }
    }

    async fn replace_canvas(&self, channel: &ChannelId, content: &Value) -> Result<(), SlackFault> {
        let query = [("channel", channel.0.clone())];
        let answer = self.get("conversations.info", Urgency::Card, &query).await?;
        let canvas = text(&answer, "/channel/properties/canvas/file_id");
        let body = json!({
            "canvas_id": canvas,
            "changes": [{"operation": "replace", "document_content": content}],
        });
        self.post("canvases.edit", Urgency::Card, "", &body).await.map(|_| ())
    }
}
