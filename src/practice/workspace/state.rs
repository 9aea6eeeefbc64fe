//! Everything a practice workspace remembers, and the few helpers every part of it needs: ids, timestamps, lookups.
//!
//! Plain data behind one mutex; nothing here waits. What changes sends its events to `outgoing`, which
//! [`super::Workspace::with`] hands to the courier before it lets go of the lock, so that events leave in order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::manifest::Manifest;
use super::model::{
    AppIdentity, CallRecord, Canvas, Channel, ChannelKind, Ephemeral, Member, ResponseUrl, Source, StoredFile,
    TeamIdentity, Trigger, Usergroup, View, Violation,
};

/// The oldest calls are forgotten beyond this many.
const CALLS_KEPT: usize = 50_000;

/// Old triggers and response URLs are forgotten when there are this many.
const SHORT_LIVED_KEPT: usize = 10_000;

/// Everything the workspace remembers.
pub(crate) struct State {
    /// Milliseconds UTC, read when the lock was taken.
    pub now: i64,
    pub team: TeamIdentity,
    pub app: AppIdentity,
    pub manifest: Arc<Manifest>,
    /// `http://127.0.0.1:PORT`
    pub origin: String,
    pub revision: u64,
    pub members: BTreeMap<String, Member>,
    pub channels: BTreeMap<String, Channel>,
    /// Names of living and archived channels.
    pub ephemerals: Vec<Ephemeral>,
    pub views: HashMap<String, View>,
    /// The open modals of each person, the topmost last.
    pub stacks: HashMap<String, Vec<String>>,
    /// Each person's Home view.
    pub homes: HashMap<String, String>,
    /// What each person chose in a message's inputs: (user, channel, ts) → `state.values`.
    pub choices: HashMap<(String, String, String), Map<String, Value>>,
    pub triggers: HashMap<String, Trigger>,
    pub response_urls: HashMap<String, ResponseUrl>,
    pub files: BTreeMap<String, StoredFile>,
    pub canvases: BTreeMap<String, Canvas>,
    pub usergroups: BTreeMap<String, Usergroup>,
    pub calls: std::collections::VecDeque<CallRecord>,
    pub violations: Vec<Violation>,
    /// Event payloads to deliver, in order.
    pub outgoing: Vec<Value>,
    last_us: i64,
    next_id: u64,
}

impl State {
    pub fn new(team: TeamIdentity, app: AppIdentity, manifest: Arc<Manifest>, origin: String, now: i64) -> Self {
        Self {
            now,
            team,
            app,
            manifest,
            origin,
            revision: 0,
            members: BTreeMap::new(),
            channels: BTreeMap::new(),
            ephemerals: Vec::new(),
            views: HashMap::new(),
            stacks: HashMap::new(),
            homes: HashMap::new(),
            choices: HashMap::new(),
            triggers: HashMap::new(),
            response_urls: HashMap::new(),
            files: BTreeMap::new(),
            canvases: BTreeMap::new(),
            usergroups: BTreeMap::new(),
            calls: std::collections::VecDeque::new(),
            violations: Vec::new(),
            outgoing: Vec::new(),
            last_us: 0,
            next_id: 0,
        }
    }

    /// A new message timestamp: the clock's time, later than every one before.
    pub fn next_ts(&mut self) -> String {
        self.last_us = (self.now.saturating_mul(1000)).max(self.last_us + 1);
        format!("{:010}.{:06}", self.last_us / 1_000_000, self.last_us % 1_000_000)
    }

    /// A new id with this prefix (`C`, `V`, `F` …), shaped like Slack's.
    pub fn next_id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        format!("{prefix}0PR{}", base36(self.next_id, 7))
    }

    /// Seconds UTC.
    pub fn now_s(&self) -> i64 {
        self.now.div_euclid(1000)
    }

    pub fn violate(&mut self, rule: &str, place: &str, detail: impl Into<String>) {
        let violation =
            Violation { at_ms: self.now, rule: rule.to_owned(), place: place.to_owned(), detail: detail.into() };
        tracing::debug!(rule, place, detail = %violation.detail, "practice workspace: violation");
        self.violations.push(violation);
    }

    pub fn record(&mut self, call: CallRecord) {
        if self.calls.len() >= CALLS_KEPT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    pub fn channel_by_name(&self, name: &str) -> Option<&Channel> {
        let name = name.trim_start_matches('#');
        self.channels.values().find(|channel| channel.kind != ChannelKind::Im && channel.name == name)
    }

    /// The member's name for `<@U…|name>`.
    pub fn handle(&self, user: &str) -> &str {
        self.members.get(user).map_or("", |member| member.profile.handle.as_str())
    }

    /// The `user` object of interaction payloads.
    pub fn user_stub(&self, user: &str) -> Value {
        let handle = self.handle(user);
        json!({"id": user, "username": handle, "name": handle, "team_id": self.team.id})
    }

    /// The `team` object of interaction payloads.
    pub fn team_stub(&self) -> Value {
        json!({"id": self.team.id, "domain": self.team.domain})
    }

    pub fn new_trigger(&mut self, user: &str, view: Option<&str>) -> String {
        self.next_id += 1;
        let id = format!("{}.{}.{}", self.now, self.next_id, uuid::Uuid::new_v4().simple());
        let trigger =
            Trigger { user: user.to_owned(), issued_at: self.now, used: false, view: view.map(str::to_owned) };
        if self.triggers.len() >= SHORT_LIVED_KEPT {
            let now = self.now;
            self.triggers.retain(|_, old| now - old.issued_at < 60_000);
        }
        self.triggers.insert(id.clone(), trigger);
        id
    }

    pub fn new_response_url(&mut self, channel: &str, user: &str, source: Option<Source>) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let entry =
            ResponseUrl { channel: channel.to_owned(), user: user.to_owned(), issued_at: self.now, uses: 0, source };
        if self.response_urls.len() >= SHORT_LIVED_KEPT {
            let now = self.now;
            self.response_urls.retain(|_, old| now - old.issued_at < 3_600_000);
        }
        self.response_urls.insert(id.clone(), entry);
        format!("{}/response/{}/{id}", self.origin, self.team.id)
    }
}

/// `number` in base 36, capitals, padded to `width`.
fn base36(mut number: u64, width: usize) -> String {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut out = Vec::new();
    while number > 0 || out.len() < width {
        let digit = usize::try_from(number % 36).unwrap_or_default();
        out.push(DIGITS.get(digit).copied().unwrap_or(b'0'));
        number /= 36;
    }
    out.iter().rev().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(now: i64) -> State {
        State::new(
            TeamIdentity { id: "T1".into(), name: "n".into(), domain: "d".into() },
            AppIdentity { app_id: "A1".into(), bot_id: "B1".into(), bot_user: "U1".into(), name: "vigie".into() },
            Arc::new(Manifest::default()),
            "http://127.0.0.1:1".into(),
            now,
        )
    }

    #[test]
    fn timestamps_rise_even_when_the_clock_stands_still_or_goes_back() {
        let mut s = state(1_700_000_000_123);
        let first = s.next_ts();
        let second = s.next_ts();
        s.now -= 5000;
        let third = s.next_ts();
        assert_eq!(first, "1700000000.123000");
        assert!(first < second && second < third);
    }

    #[test]
    fn ids_differ_and_keep_their_prefix() {
        let mut s = state(0);
        let (a, b) = (s.next_id("C"), s.next_id("C"));
        assert_ne!(a, b);
        assert!(a.starts_with('C') && a.len() == 11);
    }
}
