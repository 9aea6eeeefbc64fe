//! What Slack's message field makes of what a person types: mentions and links become Slack's tokens, the rest is escaped.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Value, json};

use super::state::State;

static PIECES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x) (?P<token> <[@\#!][^<>\s]+> )
             | (?P<link> https?://[^\s<>]+ )
             | (?P<at> @[a-z0-9](?:[a-z0-9._-]*[a-z0-9])? )
             | (?P<channel> \#[\p{Ll}\p{N}](?:[\p{Ll}\p{N}_-]*[\p{Ll}\p{N}])? )
             | (?P<escape> [&<>] )",
    )
    .expect("the pattern is part of this program and tested")
});

/// How a mention is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `<@U…>`
    Message,
    /// `<@U…|name>`, in the text of a slash command with `should_escape`.
    Command,
}

impl State {
    /// The text of a message as Slack stores it.
    pub fn compose(&self, typed: &str) -> String {
        self.rewrite(typed, Style::Message)
    }

    /// The text of a slash command as the app gets it.
    pub fn compose_command(&self, typed: &str, should_escape: bool) -> String {
        if should_escape { self.rewrite(typed, Style::Command) } else { escape(typed) }
    }

    fn rewrite(&self, typed: &str, style: Style) -> String {
        PIECES
            .replace_all(typed, |found: &Captures<'_>| {
                let piece = found.get(0).map_or("", |whole| whole.as_str());
                if found.name("token").is_some() {
                    self.token(piece, style)
                } else if found.name("link").is_some() {
                    format!("<{}>", piece.replace('&', "&amp;"))
                } else if found.name("at").is_some() {
                    self.mention(piece, style)
                } else if found.name("channel").is_some() {
                    self.channel_link(piece)
                } else {
                    escape(piece)
                }
            })
            .into_owned()
    }

    /// A token that was typed (or pasted) as one: kept when it names something, else shown as it is.
    fn token(&self, piece: &str, style: Style) -> String {
        let inner = piece.trim_start_matches('<').trim_end_matches('>');
        let id = inner.split('|').next().unwrap_or_default();
        if let Some(user) = id.strip_prefix('@').filter(|user| self.members.contains_key(*user)) {
            return self.user_token(user, style);
        }
        if let Some(channel) = id.strip_prefix('#').and_then(|channel| self.channels.get(channel)) {
            return format!("<#{}|{}>", channel.id, channel.public_name());
        }
        let is_special = id == "!here" || id == "!channel" || id == "!everyone" || id.starts_with("!subteam^");
        if is_special { piece.to_owned() } else { escape(piece) }
    }

    fn user_token(&self, user: &str, style: Style) -> String {
        match style {
            Style::Message => format!("<@{user}>"),
            Style::Command => format!("<@{user}|{}>", self.handle(user)),
        }
    }

    fn mention(&self, piece: &str, style: Style) -> String {
        let name = piece.trim_start_matches('@');
        if matches!(name, "here" | "channel" | "everyone") {
            return format!("<!{name}>");
        }
        if let Some(member) = self.members.values().find(|member| member.profile.handle == name) {
            return self.user_token(&member.profile.id, style);
        }
        match self.usergroups.values().find(|group| group.group.handle == name) {
            Some(group) if style == Style::Command => {
                format!("<!subteam^{}|@{name}>", group.group.id)
            }
            Some(group) => format!("<!subteam^{}>", group.group.id),
            None => piece.to_owned(),
        }
    }

    fn channel_link(&self, piece: &str) -> String {
        match self.channel_by_name(piece) {
            Some(channel) if !channel.is_private() => format!("<#{}|{}>", channel.id, channel.name),
            Some(channel) => format!("<#{}|>", channel.id),
            None => piece.to_owned(),
        }
    }

    /// The rich text block that comes with a person's message.
    pub fn rich_text(&mut self, typed: &str) -> Value {
        let block_id = self.next_id("r");
        json!([{
            "type": "rich_text",
            "block_id": block_id,
            "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": typed}]}],
        }])
    }
}

/// Slack's escaping of `&`, `<` and `>`.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::super::options::NewPerson;
    use super::super::model::{AppIdentity, ChannelKind, Member, TeamIdentity};
    use super::super::state::State;
    use crate::practice::manifest::Manifest;
    use std::sync::Arc;

    fn state() -> State {
        let mut state = State::new(
            TeamIdentity { id: "T1".into(), name: "n".into(), domain: "d".into() },
            AppIdentity { app_id: "A1".into(), bot_id: "B1".into(), bot_user: "UBOT".into(), name: "vigie".into() },
            Arc::new(Manifest::default()),
            "http://127.0.0.1:1".into(),
            0,
        );
        let profile = NewPerson::new("U0LEAD", "lead", "Lead Example");
        state.members.insert("U0LEAD".into(), Member { profile, deleted: false, is_bot: false, updated: 0 });
        state.insert_channel("C1", "ops", ChannelKind::Public, "U0LEAD");
        state
    }

    #[test]
    fn mentions_and_links_become_tokens_and_the_rest_is_escaped() {
        let typed = "hi @lead. see #ops & <b> https://example.com/a?b=1&c=2";
        assert_eq!(
            state().compose(typed),
            "hi <@U0LEAD>. see <#C1|ops> &amp; &lt;b&gt; <https://example.com/a?b=1&amp;c=2>"
        );
    }

    #[test]
    fn a_command_names_who_it_mentions_only_when_it_asked_for_that() {
        let state = state();
        assert_eq!(state.compose_command("page @lead <@U0LEAD>", true), "page <@U0LEAD|lead> <@U0LEAD|lead>");
        assert_eq!(state.compose_command("page @lead a<b", false), "page @lead a&lt;b");
    }

    #[test]
    fn an_unknown_name_stays_text() {
        assert_eq!(state().compose("@nobody in #nowhere <@UNOBODY>"), "@nobody in #nowhere &lt;@UNOBODY&gt;");
    }
}
