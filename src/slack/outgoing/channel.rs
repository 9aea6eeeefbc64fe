//! The incident's channel: made or adopted, decorated, filled with people.

use serde_json::{Value, json};

use super::super::budget::Urgency;
use super::super::cards::topic;
use super::super::client::{Slack, text};
use super::super::fault::{self, SlackFault};
use super::super::scene::Scene;
use super::{CHANNEL_LOST, channel_name, channel_of, incident_of, undrawable};
use crate::incident::decision::Report;
use crate::incident::id::{ChannelId, UserId};
use crate::incident::state::Incident;
use crate::render::escape_slack;

/// Names that are tried: `…`, `…-2` to `…-9`.
const NAMES: u32 = 9;
/// The most that a topic or a purpose may have (docs: conversations.setTopic).
const TOPIC: usize = 250;
/// The most people of one invitation (docs: conversations.invite).
const INVITED_AT_ONCE: usize = 100;
/// A channel of ours without purpose is taken for this incident's if it is not older than it, give or take (seconds).
const CLOCKS_DIFFER_S: i64 = 600;

/// What a channel was last decorated with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::slack) struct Decoration {
    topic: Option<String>,
    purpose: Option<String>,
    bookmarks: Option<Vec<(String, String)>>,
}

impl Slack {
    /// Makes the channel, or finds the one that an earlier attempt made.
    pub(super) async fn open_channel(&self, scene: &Scene<'_>) -> Result<Vec<Report>, SlackFault> {
        let incident = incident_of(scene)?;
        if let Some(channel) = incident.usable_channel() {
            self.decorate(scene, incident, &channel.id).await?;
            return Ok(Vec::new());
        }
        let (channel, name) = self.make_channel(scene, incident).await?;
        // The card and the people come first. What the channel lacks comes with the refresh of the topic, which follows
        // from the report; nothing of it need be asked for then.
        self.memory().decorations.insert(channel.clone(), Decoration::default());
        Ok(vec![Report::ChannelOpened { channel, name }])
    }

    /// How the channel is now. Whoever is not in it any more, and whom it does not exist for, cannot use it.
    pub(super) async fn look_at_channel(&self, scene: &Scene<'_>) -> Result<Vec<Report>, SlackFault> {
        let Some(channel) = &incident_of(scene)?.channel else { return Ok(Vec::new()) };
        let lost = match self.room(&channel.id).await {
            Ok(room) if room.archived => Some("is_archived"),
            Ok(room) if !room.member => Some("not_in_channel"),
            Ok(_) => None,
            Err(fault) if fault.is("channel_not_found") => Some("channel_not_found"),
            Err(fault) => return Err(fault),
        };
        Ok(vec![Report::ChannelSeen { lost: lost.map(str::to_owned) }])
    }

    async fn make_channel(&self, scene: &Scene<'_>, incident: &Incident) -> Result<(ChannelId, String), SlackFault> {
        const METHOD: &str = "conversations.create";
        let mut ours: Option<Vec<Value>> = None;
        let mut refusal = None;
        for number in 1..=NAMES {
            let name = channel_name(&scene.rules.channel_prefix, incident.id, &incident.title, number);
            let body = json!({"name": name, "is_private": scene.rules.private_channels});
            match self.post(METHOD, Urgency::Card, "", &body).await {
                Ok(answer) => {
                    let id = text(&answer, "/channel/id");
                    if id.is_empty() {
                        return Err(fault::garbage(METHOD));
                    }
                    let given = text(&answer, "/channel/name");
                    let given = if given.is_empty() { name } else { given };
                    return Ok((ChannelId(id), given));
                }
                Err(fault) if fault.is("name_taken") => refusal = Some(fault),
                Err(fault) => return Err(fault),
            }
            let joined = match ours.take() {
                Some(joined) => joined,
                None => self.joined_channels().await?,
            };
            if let Some(channel) = self.adoptable(&joined, &name, incident).await? {
                tracing::info!(incident = %incident.id, name, "adopted the channel of an earlier attempt");
                return Ok((channel, name));
            }
            ours = Some(joined);
        }
        Err(refusal.unwrap_or_else(|| SlackFault::permanent("name_taken", "Every name for the channel is taken.")))
    }

    /// The channels that Vigie is a member of: far fewer than all, and it is a member of those that it made.
    async fn joined_channels(&self) -> Result<Vec<Value>, SlackFault> {
        const PAGES: usize = 20;
        let mut channels = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES {
            let mut query = vec![
                ("types", "public_channel,private_channel".to_owned()),
                ("exclude_archived", "true".to_owned()),
                ("limit", "200".to_owned()),
            ];
            if !cursor.is_empty() {
                query.push(("cursor", cursor));
            }
            let page = self.get("users.conversations", Urgency::Card, &query).await?;
            channels.extend(page.pointer("/channels").and_then(Value::as_array).into_iter().flatten().cloned());
            cursor = text(&page, "/response_metadata/next_cursor");
            if cursor.is_empty() {
                break;
            }
        }
        Ok(channels)
    }

    /// The channel of this name, if Vigie made it for this very incident and it can be used.
    async fn adoptable(
        &self,
        joined: &[Value],
        name: &str,
        incident: &Incident,
    ) -> Result<Option<ChannelId>, SlackFault> {
        let Some(id) = joined.iter().find(|channel| text(channel, "/name") == name).map(|channel| text(channel, "/id"))
        else {
            return Ok(None);
        };
        let us = self.identity().await?;
        let query = [("channel", id.clone())];
        let answer = self.get("conversations.info", Urgency::Card, &query).await?;
        let known = |at: &str| text(&answer, at);
        let purpose = known("/channel/purpose/value");
        let created = answer.pointer("/channel/created").and_then(Value::as_i64).unwrap_or(0);
        let not_older = created + CLOCKS_DIFFER_S >= incident.declared.at.0 / 1000;
        let for_this = purpose.contains(&purpose_mark(incident)) || (purpose.is_empty() && not_older);
        let archived = answer.pointer("/channel/is_archived").and_then(Value::as_bool) == Some(true);
        let ours = known("/channel/creator") == us.user.0 && for_this && !archived;
        Ok(ours.then_some(ChannelId(id)))
    }

    /// Brings topic, purpose and bookmarks in line with the incident.
    pub(super) async fn refresh_topic(&self, scene: &Scene<'_>) -> Result<Vec<Report>, SlackFault> {
        let incident = incident_of(scene)?;
        let channel = channel_of(incident, 1)?;
        self.decorate(scene, incident, &channel.id).await?;
        Ok(Vec::new())
    }

    /// Sets what differs: every change of a topic is a line in the channel.
    async fn decorate(&self, scene: &Scene<'_>, incident: &Incident, channel: &ChannelId) -> Result<(), SlackFault> {
        let bookmarks = topic::bookmarks(scene, incident).map_err(|cause| undrawable("bookmarks", &cause))?;
        let topic = topic::topic(scene, incident).map_err(|cause| undrawable("topic", &cause))?;
        let topic = cut(&topic, TOPIC);
        let purpose = purpose(incident);
        let remembered = self.memory().decorations.get(channel).map(|known| known.clone());
        let known = match remembered {
            Some(known) => known,
            None => self.read_decoration(channel).await?,
        };
        let set_topic = async {
            if known.topic.as_ref() == Some(&topic) {
                return Ok(());
            }
            let body = json!({"channel": channel.0, "topic": topic});
            self.post("conversations.setTopic", Urgency::Card, "", &body).await.map(|_| ())
        };
        let set_purpose = async {
            if known.purpose.as_ref() == Some(&purpose) {
                return Ok(());
            }
            let body = json!({"channel": channel.0, "purpose": purpose});
            self.post("conversations.setPurpose", Urgency::Card, "", &body).await.map(|_| ())
        };
        let set_bookmarks = async {
            if known.bookmarks.as_ref() == Some(&bookmarks) {
                return Ok(());
            }
            self.set_bookmarks(channel, &bookmarks).await
        };
        let (topic_set, purpose_set, bookmarks_set) = tokio::join!(set_topic, set_purpose, set_bookmarks);
        let keep = |done: &Result<(), SlackFault>| matches!(done, Ok(()) | Err(SlackFault::Permanent { .. }));
        let now = Decoration {
            topic: if keep(&topic_set) { Some(topic) } else { known.topic },
            purpose: if keep(&purpose_set) { Some(purpose) } else { known.purpose },
            bookmarks: if keep(&bookmarks_set) { Some(bookmarks) } else { known.bookmarks },
        };
        self.memory().decorations.insert(channel.clone(), now);
        topic_set.and(or_do_without("purpose", purpose_set)).and(or_do_without("bookmarks", bookmarks_set))
    }

    async fn read_decoration(&self, channel: &ChannelId) -> Result<Decoration, SlackFault> {
        let query = [("channel", channel.0.clone())];
        let answer = self.get("conversations.info", Urgency::Card, &query).await?;
        Ok(Decoration {
            topic: Some(text(&answer, "/channel/topic/value")),
            purpose: Some(text(&answer, "/channel/purpose/value")),
            bookmarks: None,
        })
    }

    async fn set_bookmarks(&self, channel: &ChannelId, wanted: &[(String, String)]) -> Result<(), SlackFault> {
        let body = json!({"channel_id": channel.0});
        let answer = self.post("bookmarks.list", Urgency::Card, "", &body).await?;
        let present = answer.pointer("/bookmarks").and_then(Value::as_array).cloned().unwrap_or_default();
        for (title, link) in wanted {
            let same = present.iter().find(|known| text(known, "/title") == *title);
            match same {
                Some(known) if text(known, "/link") == *link => {}
                Some(known) => {
                    let body = json!({
                        "channel_id": channel.0,
                        "bookmark_id": text(known, "/id"),
                        "title": title,
                        "link": link,
                    });
                    self.post("bookmarks.edit", Urgency::Card, "", &body).await?;
                }
                None => {
                    let body = json!({
                        "channel_id": channel.0,
                        "title": title,
                        "type": "link",
                        "link": link,
                    });
                    self.post("bookmarks.add", Urgency::Card, "", &body).await?;
                }
            }
        }
        Ok(())
    }

    /// Invites people; whoever is in already counts as in.
    pub(super) async fn invite(
        &self,
        scene: &Scene<'_>,
        users: &[UserId],
        attempt: u32,
    ) -> Result<Vec<Report>, SlackFault> {
        let incident = incident_of(scene)?;
        let channel = &channel_of(incident, attempt)?.id;
        let mut result = Invitation::default();
        for batch in users.chunks(INVITED_AT_ONCE) {
            match self.invite_batch(channel, batch, &mut result).await {
                Ok(()) => {}
                Err(fault @ SlackFault::Permanent { .. }) if !result.is_empty() && !fault.is_one_of(&CHANNEL_LOST) => {
                    result.refuse_rest(batch, fault.code());
                }
                // What may pass is tried again: who is in already counts as in then.
                Err(fault) => return Err(fault),
            }
        }
        Ok(vec![Report::Invited { users: result.users, failed: result.failed }])
    }

    async fn invite_batch(
        &self,
        channel: &ChannelId,
        batch: &[UserId],
        result: &mut Invitation,
    ) -> Result<(), SlackFault> {
        let told = match self.ask_to_join(channel, batch).await {
            Ok(answer) => answer,
            Err((SlackFault::Permanent { .. }, Some(answer))) if answer.get("errors").is_some_and(Value::is_array) => {
                answer
            }
            Err((fault, _)) if self.is_about_people(&fault) => {
                // Slack named nobody: asked one by one, each gets their own answer.
                if let [only] = batch {
                    result.take(only, Some(fault.code()));
                    return Ok(());
                }
                for user in batch {
                    match self.ask_to_join(channel, std::slice::from_ref(user)).await {
                        Ok(_) => result.take(user, None),
                        Err((fault, _)) if self.is_about_people(&fault) => result.take(user, Some(fault.code())),
                        Err((fault, _)) => return Err(fault),
                    }
                }
                return Ok(());
            }
            Err((fault, _)) => return Err(fault),
        };
        let errors = told.pointer("/errors").and_then(Value::as_array);
        for user in batch {
            let own = errors.into_iter().flatten().find(|error| text(error, "/user") == user.0);
            let code = own.map(|error| text(error, "/error"));
            result.take(user, code.as_deref());
        }
        Ok(())
    }

    async fn ask_to_join(&self, channel: &ChannelId, users: &[UserId]) -> Result<Value, (SlackFault, Option<Value>)> {
        let list: Vec<&str> = users.iter().map(|user| user.0.as_str()).collect();
        let body = json!({"channel": channel.0, "users": list.join(","), "force": true});
        self.post_in_full("conversations.invite", Urgency::Card, "", &body).await
    }

    /// Slack refused because of somebody, not because of the channel or the app.
    fn is_about_people(&self, fault: &SlackFault) -> bool {
        const ABOUT_APP: [&str; 6] = [
            "missing_scope",
            "invalid_auth",
            "token_revoked",
            "account_inactive",
            "not_authed",
            "method_not_supported_for_channel_type",
        ];
        matches!(fault, SlackFault::Permanent { .. }) && !fault.is_one_of(&CHANNEL_LOST) && !fault.is_one_of(&ABOUT_APP)
    }
}

/// Who is in, and who is not.
#[derive(Debug, Default)]
struct Invitation {
    users: Vec<UserId>,
    failed: Vec<(UserId, String)>,
}

impl Invitation {
    fn take(&mut self, user: &UserId, code: Option<&str>) {
        match code {
            None | Some("already_in_channel" | "cant_invite_self") => self.users.push(user.clone()),
            Some(code) => self.failed.push((user.clone(), code.to_owned())),
        }
    }

    /// Slack refused those of `batch` that nothing is known of yet.
    fn refuse_rest(&mut self, batch: &[UserId], code: &str) {
        let known = |user: &UserId| self.users.contains(user) || self.failed.iter().any(|(failed, _)| failed == user);
        let rest: Vec<_> =
            batch.iter().filter(|user| !known(user)).map(|user| (user.clone(), code.to_owned())).collect();
        self.failed.extend(rest);
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.failed.is_empty()
    }
}

/// A channel is no worse without these: a refusal for good is logged and left at that.
fn or_do_without(what: &str, done: Result<(), SlackFault>) -> Result<(), SlackFault> {
    match done {
        Err(SlackFault::Permanent { code, why }) if !CHANNEL_LOST.contains(&code.as_str()) => {
            tracing::warn!(what, code, why, "the channel goes without");
            Ok(())
        }
        other => other,
    }
}

/// By this a channel is known again as this incident's, and as no other's after a new beginning with an empty store.
fn purpose_mark(incident: &Incident) -> String {
    format!("vigie {} {}", incident.id, incident.declared.at.to_rfc3339())
}

fn purpose(incident: &Incident) -> String {
    let mark = purpose_mark(incident);
    let room = TOPIC - mark.chars().count() - 3;
    let mut title: Vec<char> = incident.title.chars().collect();
    // `&` becomes `&amp;`: cut before escaping, so that no escape is cut in two.
    while escape_slack(&title.iter().collect::<String>()).chars().count() > room {
        title.pop();
    }
    format!("{} · {mark}", escape_slack(&title.iter().collect::<String>()))
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
