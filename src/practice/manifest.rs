//! The parts of a Slack app manifest that decide what the practice workspace lets the app do: its scopes, its slash
//! commands and shortcuts, the events it is subscribed to and whether it has a Home tab.
//!
//! Reading is lenient about everything else: whether the manifest is a valid one is for Slack's own schema to say.

use serde::Deserialize;

/// An app manifest, as Slack's "App manifest" page lays it out.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Manifest {
    pub display_information: DisplayInformation,
    pub features: Features,
    pub oauth_config: OauthConfig,
    pub settings: Settings,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct DisplayInformation {
    pub name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Features {
    pub app_home: AppHome,
    pub bot_user: BotUser,
    pub shortcuts: Vec<Shortcut>,
    pub slash_commands: Vec<SlashCommand>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct AppHome {
    pub home_tab_enabled: bool,
    pub messages_tab_enabled: bool,
    pub messages_tab_read_only_enabled: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BotUser {
    pub display_name: String,
}

/// A global or message shortcut.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Shortcut {
    pub name: String,
    /// `global` or `message`.
    #[serde(rename = "type")]
    pub kind: String,
    pub callback_id: String,
    pub description: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlashCommand {
    /// With its leading slash.
    pub command: String,
    pub description: String,
    pub usage_hint: String,
    /// Whether Slack turns `@name` and `#channel` of the text into `<@U…|name>` and `<#C…|name>`.
    pub should_escape: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct OauthConfig {
    pub scopes: Scopes,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Scopes {
    pub bot: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub event_subscriptions: EventSubscriptions,
    pub interactivity: Interactivity,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EventSubscriptions {
    pub bot_events: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Interactivity {
    pub is_enabled: bool,
}

impl Manifest {
    /// Reads a manifest in YAML (or JSON, which is YAML).
    ///
    /// # Errors
    /// The YAML error with its line, when the text is not a manifest.
    pub fn parse(text: &str) -> Result<Self, serde_saphyr::Error> {
        serde_saphyr::from_str(text)
    }

    /// Whether the bot token has this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.oauth_config.scopes.bot.iter().any(|have| have == scope)
    }

    /// Whether the app asked for this event (`message.channels`, `reaction_added` …).
    #[must_use]
    pub fn is_subscribed(&self, event: &str) -> bool {
        self.settings.event_subscriptions.bot_events.iter().any(|have| have == event)
    }

    /// The slash command of this name, with its leading slash.
    #[must_use]
    pub fn command(&self, command: &str) -> Option<&SlashCommand> {
        self.features.slash_commands.iter().find(|known| known.command == command)
    }

    /// The shortcut with this callback id and kind (`global` or `message`).
    #[must_use]
    pub fn shortcut(&self, kind: &str, callback_id: &str) -> Option<&Shortcut> {
        self.features.shortcuts.iter().find(|known| known.kind == kind && known.callback_id == callback_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_gives_scopes_commands_and_events() {
        let manifest = Manifest::parse(
            "display_information: {name: Vigie}\nfeatures:\n  slash_commands:\n    - command: /incident\n      should_escape: true\n\
             oauth_config: {scopes: {bot: [commands, 'chat:write']}}\nsettings: {event_subscriptions: {bot_events: [message.channels]}}\n",
        )
        .expect("the manifest parses");
        assert!(manifest.has_scope("chat:write"));
        assert!(!manifest.has_scope("pins:write"));
        assert!(manifest.command("/incident").is_some_and(|c| c.should_escape));
        assert!(manifest.is_subscribed("message.channels"));
        assert!(!manifest.features.app_home.home_tab_enabled);
    }
}
