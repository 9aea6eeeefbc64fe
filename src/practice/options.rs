//! What a practice workspace is made of when it opens: its people, channels and groups, the app's manifest, the clock.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;

use super::workspace::Workspace;

/// The workspace's clock: milliseconds UTC. Message timestamps, trigger expiry, redelivery and rate limits follow it.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Routes served beside Slack's own, built once the workspace exists (the practice page).
pub type ExtraRoutes = Box<dyn FnOnce(Workspace) -> Router + Send>;

/// How envelopes reach the app.
#[derive(Debug, Clone, Default)]
pub enum Delivery {
    /// Socket Mode: the app opens WebSockets with its app-level token.
    #[default]
    Socket,
    /// Signed HTTP requests to `{base_url}/slack/commands`, `/slack/interactions` and `/slack/events`.
    Http { base_url: String },
}

/// A member of the workspace.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// Slack's user id, `U…`.
    pub id: String,
    /// The name used in `@handle`.
    pub handle: String,
    pub real_name: String,
    /// The title on the profile; the role this person plays.
    pub title: String,
    pub email: String,
    /// E.164; empty for somebody without a phone.
    pub phone: String,
    /// IANA time zone name.
    pub tz: String,
    /// `en-US`, `fr-FR` …
    pub locale: String,
    pub is_admin: bool,
}

impl NewPerson {
    /// A person in UTC who reads English, with an address at example.com made from the handle.
    #[must_use]
    pub fn new(id: &str, handle: &str, real_name: &str) -> Self {
        Self {
            id: id.to_owned(),
            handle: handle.to_owned(),
            real_name: real_name.to_owned(),
            title: String::new(),
            email: format!("{handle}@example.com"),
            phone: String::new(),
            tz: "Etc/UTC".to_owned(),
            locale: "en-US".to_owned(),
            is_admin: false,
        }
    }
}

/// A channel that exists from the start.
#[derive(Debug, Clone)]
pub struct NewChannel {
    /// Slack's channel id, `C…`.
    pub id: String,
    pub name: String,
    pub is_private: bool,
    /// User ids of its members.
    pub members: Vec<String>,
    /// Whether the bot is a member too.
    pub with_bot: bool,
}

/// A user group (`@oncall-leads`).
#[derive(Debug, Clone)]
pub struct NewUsergroup {
    /// `S…`
    pub id: String,
    pub handle: String,
    pub name: String,
    pub members: Vec<String>,
}

/// Everything [`super::Practice::start`] needs.
pub struct PracticeOptions {
    /// Loopback only; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The app's manifest in YAML: scopes, commands, shortcuts, events, Home tab.
    pub manifest_yaml: String,
    pub team_name: String,
    pub team_domain: String,
    pub people: Vec<NewPerson>,
    pub channels: Vec<NewChannel>,
    pub usergroups: Vec<NewUsergroup>,
    /// Whether Slack's rate tiers are enforced.
    pub rate_limits: bool,
    pub delivery: Delivery,
    pub extra: Option<ExtraRoutes>,
    pub now: Now,
}

impl PracticeOptions {
    /// An empty workspace for the app of this manifest, on a free loopback port, with Socket Mode and no rate limits.
    #[must_use]
    pub fn new(manifest_yaml: &str, now: Now) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            manifest_yaml: manifest_yaml.to_owned(),
            team_name: "Practice".to_owned(),
            team_domain: "practice".to_owned(),
            people: Vec::new(),
            channels: Vec::new(),
            usergroups: Vec::new(),
            rate_limits: false,
            delivery: Delivery::Socket,
            extra: None,
            now,
        }
    }
}
