//! The practice workspace as the page sees it: each request of the page becomes what a person's hands do.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{
    ActionUse, AppInfo, Bookmark, ChannelKind, MessageRef, PageChannel, PageFile, PagePerson, PageRefusal,
    PageShortcut, PageTeam, PageWorld, ShortcutKind, SlashCommand, SubmitAnswer, Surface, WorldState,
};
use crate::practice::workspace::{self, Channel, Member, NotPossible, Person, SubmitOutcome, Workspace};

/// Moves the clock of everything that runs here forward by so many milliseconds.
pub type Advance = Arc<dyn Fn(i64) -> futures_util::future::BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A practice workspace, played by whoever sits at the page.
pub struct LocalWorld {
    workspace: Workspace,
    team: String,
    locale: String,
    /// People's numbers, so that texts and calls are shown on the right phone.
    phones: BTreeMap<String, String>,
    advance: Option<Advance>,
    /// For whom the page opens, until whoever sits there becomes somebody else.
    opens_for: Option<String>,
}

impl LocalWorld {
    /// The workspace called `team`, with the page in the language `locale`.
    pub fn new(
        workspace: Workspace,
        team: &str,
        locale: &str,
        phones: BTreeMap<String, String>,
        advance: Option<Advance>,
    ) -> Self {
        Self { workspace, team: team.to_owned(), locale: locale.to_owned(), phones, advance, opens_for: None }
    }

    /// The page opens for this person, when they are in the workspace; else for the first who is.
    #[must_use]
    pub fn opening_for(self, person: Option<String>) -> Self {
        Self { opens_for: person, ..self }
    }

    fn people(&self) -> Vec<Member> {
        self.workspace.people().into_iter().filter(|member| !member.deleted).collect()
    }

    fn person(&self, id: &str) -> Result<Person, PageRefusal> {
        let known = self.people().iter().any(|member| member.profile.id == id && !member.is_bot);
        if known {
            Ok(self.workspace.person(id))
        } else {
            Err(PageRefusal::new(format!("Nobody here is called {id}.")))
        }
    }

    /// The page sends text as Slack's wire has it; hands type `@handle` and `#channel`, and escape for themselves.
    fn typed(&self, wire: &str) -> String {
        let mut text = String::with_capacity(wire.len());
        let mut rest = wire;
        while let Some((before, after)) = rest.split_once('<') {
            text.push_str(before);
            let (inside, after) = after.split_once('>').unwrap_or((after, ""));
            let (target, _) = inside.split_once('|').unwrap_or((inside, ""));
            match target.split_at_checked(1) {
                Some(("@", id)) => {
                    let handle = self.people().into_iter().find(|member| member.profile.id == id);
                    text.push('@');
                    text.push_str(&handle.map_or_else(|| id.to_owned(), |member| member.profile.handle));
                }
                Some(("#", id)) => {
                    text.push('#');
                    text.push_str(&self.workspace.channel(id).map_or_else(|| id.to_owned(), |channel| channel.name));
                }
                _ => text.push_str(target),
            }
            rest = after;
        }
        text.push_str(rest);
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    fn shown_person(&self, member: &Member) -> PagePerson {
        let profile = &member.profile;
        PagePerson {
            id: profile.id.clone(),
            name: profile.handle.clone(),
            real_name: profile.real_name.clone(),
            title: profile.title.clone(),
            email: profile.email.clone(),
            phone: self.phones.get(&profile.id).cloned(),
            tz: profile.tz.clone(),
            is_bot: member.is_bot,
        }
    }

    fn shown_channel(&self, viewer: &str, channel: &Channel) -> Option<PageChannel> {
        let member = channel.has(viewer);
        let kind = match channel.kind {
            workspace::ChannelKind::Public => ChannelKind::Public,
            workspace::ChannelKind::Private if member => ChannelKind::Private,
            workspace::ChannelKind::Im if member => ChannelKind::Im,
            _ => return None,
        };
        let mut messages = self.workspace.messages(&channel.id);
        messages.extend(self.workspace.ephemerals(viewer).into_iter().filter_map(|mut one| {
            let here = one["channel"] == channel.id.as_str();
            one["ephemeral"] = json!(true);
            here.then_some(one)
        }));
        messages.sort_by(|a, b| a["ts"].as_str().cmp(&b["ts"].as_str()));
        Some(PageChannel {
            id: channel.id.clone(),
            name: channel.name.clone(),
            kind,
            user: (kind == ChannelKind::Im)
                .then(|| channel.members.iter().find(|one| *one != viewer).cloned())
                .flatten(),
            topic: channel.topic.value.clone(),
            purpose: channel.purpose.value.clone(),
            archived: channel.is_archived,
            members: channel.members.clone(),
            bookmarks: channel.bookmarks.iter().map(bookmark).collect(),
            pins: channel.pins.iter().map(|pin| pin.ts.clone()).collect(),
            messages,
        })
    }
}

fn bookmark(stored: &Map<String, Value>) -> Bookmark {
    let text = |key: &str| stored.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Bookmark { id: text("id"), title: text("title"), link: text("link"), emoji: text("emoji") }
}

fn refused(fault: NotPossible) -> PageRefusal {
    PageRefusal::new(fault.0)
}

/// What a person typed or chose, out of one object of Slack's `state.values`.
fn choice(stated: &Value) -> Value {
    let fields = stated.as_object().into_iter().flatten();
    fields.filter(|(key, _)| *key != "type").map(|(_, value)| value.clone()).next().unwrap_or(Value::Null)
}

/// Slack's `state.values` as what hands fill in: `block id/action id` → what is typed or chosen.
fn filled(values: &Value) -> Value {
    let mut all = Map::new();
    for (block, actions) in values.as_object().into_iter().flatten() {
        for (action, stated) in actions.as_object().into_iter().flatten() {
            all.insert(format!("{block}/{action}"), choice(stated));
        }
    }
    Value::Object(all)
}

#[async_trait]
impl PageWorld for LocalWorld {
    async fn state(&self, viewer: Option<&str>) -> Result<WorldState, PageRefusal> {
        let rev = *self.workspace.changes().borrow();
        let people = self.people();
        let present = people.iter().filter(|member| !member.is_bot).map(|member| &member.profile.id);
        let first = present.clone().find(|id| Some(*id) == self.opens_for.as_ref()).or(present.clone().next()).cloned();
        let viewer = match viewer {
            Some(viewer) => self.person(viewer)?.id().to_owned(),
            None => first.ok_or_else(|| PageRefusal::new("Nobody is in this workspace."))?,
        };
        let app = self.workspace.app();
        let manifest = self.workspace.manifest();
        let channels = self.workspace.channels();
        Ok(WorldState {
            rev,
            now_ms: self.workspace.now_ms(),
            can_advance: self.advance.is_some(),
            locale: self.locale.clone(),
            team: PageTeam { name: self.team.clone() },
            people: people.iter().map(|member| self.shown_person(member)).collect(),
            channels: channels.iter().filter_map(|channel| self.shown_channel(&viewer, channel)).collect(),
            views: self.workspace.views(&viewer),
            home: self.workspace.home(&viewer),
            app: AppInfo { bot_user_id: app.bot_user, name: app.name },
            commands: manifest
                .features
                .slash_commands
                .iter()
                .map(|known| SlashCommand {
                    command: known.command.clone(),
                    usage_hint: known.usage_hint.clone(),
                    description: known.description.clone(),
                })
                .collect(),
            shortcuts: manifest
                .features
                .shortcuts
                .iter()
                .map(|known| PageShortcut {
                    name: known.name.clone(),
                    kind: if known.kind == "message" { ShortcutKind::Message } else { ShortcutKind::Global },
                    callback_id: known.callback_id.clone(),
                    description: known.description.clone(),
                })
                .collect(),
            viewer,
        })
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.workspace.changes()
    }

    async fn command(&self, by: &str, channel: &str, text: &str) -> Result<Value, PageRefusal> {
        let text = &self.typed(text);
        let (command, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let ack = self.person(by)?.command(channel, command, rest.trim_start()).await;
        match ack.failure {
            Some(failure) => Err(PageRefusal::new(failure)),
            None => Ok(ack.payload.unwrap_or(Value::Null)),
        }
    }

    async fn message(
        &self,
        by: &str,
        channel: &str,
        text: &str,
        thread_ts: Option<&str>,
    ) -> Result<String, PageRefusal> {
        let (person, text) = (self.person(by)?, &self.typed(text));
        match thread_ts {
            Some(ts) => person.reply(channel, ts, text).map_err(refused),
            None => person.say(channel, text).map_err(refused),
        }
    }

    async fn edit(&self, by: &str, message: &MessageRef, text: &str) -> Result<(), PageRefusal> {
        self.person(by)?.edit(&message.channel, &message.ts, &self.typed(text)).map_err(refused)
    }

    async fn delete(&self, by: &str, message: &MessageRef) -> Result<(), PageRefusal> {
        self.person(by)?.delete(&message.channel, &message.ts).map_err(refused)
    }

    async fn react(&self, by: &str, message: &MessageRef, name: &str, on: bool) -> Result<(), PageRefusal> {
        let person = self.person(by)?;
        let done = if on {
            person.react(&message.channel, &message.ts, name)
        } else {
            person.unreact(&message.channel, &message.ts, name)
        };
        done.map_err(refused)
    }

    async fn action(&self, by: &str, action: ActionUse) -> Result<(), PageRefusal> {
        let person = self.person(by)?;
        let wanted = format!("{}/{}", action.block_id, action.action_id);
        let picked = (action.kind != "button").then(|| choice(&Value::Object(action.chosen.clone())));
        let acted = match (action.surface, picked) {
            (Surface::Message(place), None) => person.click(&place.channel, &place.ts, &wanted).await,
            (Surface::Message(place), Some(picked)) => person.select(&place.channel, &place.ts, &wanted, picked).await,
            (Surface::Home, None) => person.click_home(&wanted).await,
            (Surface::Home, Some(picked)) => person.select_home(&wanted, picked).await,
            (Surface::View(view), picked) => {
                let values = filled(action.state.get("values").unwrap_or(&Value::Null));
                person.fill_in(&view, values).await.map_err(refused)?;
                match picked {
                    None => person.click_in_view(&view, &wanted).await,
                    Some(picked) => person.select_in_view(&view, &wanted, picked).await,
                }
            }
        };
        match acted.map_err(refused)?.failure {
            Some(failure) => Err(PageRefusal::new(failure)),
            None => Ok(()),
        }
    }

    async fn submit(&self, by: &str, view_id: &str, values: Value) -> Result<SubmitAnswer, PageRefusal> {
        let outcome = self.person(by)?.submit(view_id, filled(&values)).await.map_err(refused)?;
        match outcome {
            SubmitOutcome::Errors(errors) => {
                let text = |(block, why): (String, Value)| (block, why.as_str().unwrap_or_default().to_owned());
                Ok(SubmitAnswer::Errors(errors.into_iter().map(text).collect()))
            }
            SubmitOutcome::Failed(why) => Err(PageRefusal::new(why)),
            SubmitOutcome::Closed | SubmitOutcome::Cleared | SubmitOutcome::Updated(_) | SubmitOutcome::Pushed(_) => {
                Ok(SubmitAnswer::Accepted)
            }
        }
    }

    async fn close(&self, by: &str, view_id: &str) -> Result<(), PageRefusal> {
        self.person(by)?.close(view_id).await.map_err(refused)
    }

    async fn shortcut(&self, by: &str, callback_id: &str, message: Option<&MessageRef>) -> Result<(), PageRefusal> {
        let person = self.person(by)?;
        let acted = match message {
            Some(message) => person.message_shortcut(callback_id, &message.channel, &message.ts).await,
            None => person.shortcut(callback_id).await,
        };
        match acted.map_err(refused)?.failure {
            Some(failure) => Err(PageRefusal::new(failure)),
            None => Ok(()),
        }
    }

    async fn home(&self, by: &str) -> Result<(), PageRefusal> {
        self.person(by)?.open_home().map_err(refused)
    }

    async fn dm(&self, by: &str, user: &str) -> Result<String, PageRefusal> {
        Ok(self.person(by)?.open_dm(user))
    }

    async fn advance(&self, minutes: u32) -> Result<(), PageRefusal> {
        let advance = self.advance.as_ref().ok_or_else(|| PageRefusal::new("This clock cannot be moved."))?;
        advance(i64::from(minutes) * 60_000).await.map_err(PageRefusal::new)?;
        self.workspace.tick();
        Ok(())
    }

    async fn file(&self, viewer: &str, id: &str) -> Result<PageFile, PageRefusal> {
        self.person(viewer)?;
        let found = self.workspace.files().into_iter().find(|file| file.id == id);
        let file = found.ok_or_else(|| PageRefusal::new("There is no such file."))?;
        Ok(PageFile { name: file.name, mimetype: file.mimetype, bytes: file.bytes })
    }
}
