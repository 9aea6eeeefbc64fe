//! The practice workspace itself: what tests and the page hold in their hands.
//!
//! [`Workspace`] is a cheap handle on one world behind one lock, which is never held while waiting. It answers what there
//! is to see (channels, messages, views …), lets administrators act, and gives out [`Person`] handles for everybody else.

mod channels;
mod choices;
mod composer;
mod controls;
mod events;
mod hands;
mod messages;
mod model;
mod outcomes;
mod payloads;
mod people;
mod person;
mod queries;
mod state;
mod surfaces;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::courier::Courier;
use super::faults::Faults;
use super::limits::Limits;
use super::manifest::Manifest;
use super::options::{Delivery, NewPerson, Now};
use super::{PracticeError, check_delivery};

pub use controls::{Place, Use};
pub use model::{
    AppIdentity, Bookmark, CallRecord, Canvas, Channel, ChannelKind, Ephemeral, FileStage, Member, Message, Note, Pin,
    StoredFile, TeamIdentity, View, Violation,
};
pub use person::{Acted, CommandAck, NotPossible, Person, SubmitOutcome};

pub(crate) use channels::name_fault;
pub(crate) use messages::Post;
pub(crate) use model::ResponseUrl;
pub(crate) use state::State;

/// How long [`Workspace::wait_for`] waits in real time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The credentials of the one app installed here.
pub(crate) struct Keys {
    pub bot_token: String,
    pub app_token: String,
    pub signing_secret: String,
}

struct Inner {
    state: Mutex<State>,
    courier: Arc<Courier>,
    revision: watch::Sender<u64>,
    now: Now,
    keys: Keys,
    faults: Faults,
    limits: Limits,
}

/// A handle on the practice workspace. Cloning it is cheap and gives the same world.
#[derive(Clone)]
pub struct Workspace {
    inner: Arc<Inner>,
}

/// [`Workspace::wait_for`] saw nothing in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {PATIENCE:?} in vain; {world}")]
pub struct WaitedInVain {
    world: String,
}

impl Workspace {
    pub(crate) fn new(state: State, courier: Arc<Courier>, now: Now, keys: Keys, rate_limits: bool) -> Self {
        let (revision, _) = watch::channel(0);
        let inner = Inner {
            state: Mutex::new(state),
            courier,
            revision,
            now,
            keys,
            faults: Faults::default(),
            limits: Limits::new(rate_limits),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Changes the world: takes the lock, reads the clock, hands what the app must hear to the courier, wakes watchers.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (out, revision) = {
            let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.now = (self.inner.now)();
            let out = change(&mut state);
            state.revision += 1;
            // Under the lock, so that events leave in the order of the changes.
            for payload in std::mem::take(&mut state.outgoing) {
                self.inner.courier.send_event(payload);
            }
            (out, state.revision)
        };
        self.inner.revision.send_modify(|seen| *seen = revision.max(*seen));
        out
    }

    /// Looks at the world without changing it.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn courier(&self) -> &Arc<Courier> {
        &self.inner.courier
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The workspace's clock, milliseconds UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.inner.now)()
    }

    /// A revision number that rises with every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.revision.subscribe()
    }

    /// Waits until `probe` sees what it looks for, at most 10 s of real time; it looks again after every change.
    ///
    /// # Errors
    /// [`WaitedInVain`] with a description of the world, when it never did.
    pub async fn wait_for<T>(&self, mut probe: impl FnMut(&Self) -> Option<T>) -> Result<T, WaitedInVain> {
        let mut changes = self.changes();
        let look = async {
            loop {
                changes.borrow_and_update();
                if let Some(seen) = probe(self) {
                    return seen;
                }
                // Not everything a probe may look at moves the revision, so it looks again after a while in any case.
                let _ = tokio::time::timeout(Duration::from_millis(200), changes.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.map_err(|_| WaitedInVain { world: self.describe() })
    }

    /// Wakes everybody who waits for a change, without one.
    pub(crate) fn touch(&self) {
        self.inner.revision.send_modify(|_| {});
    }

    /// Faults to come: refused, slow, lost and repeated calls and envelopes.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Turns Slack's rate tiers on or off.
    pub fn set_rate_limits(&self, on: bool) {
        self.inner.limits.switch(on);
    }

    /// From now on envelopes reach the app this way.
    ///
    /// # Errors
    /// [`PracticeError::ForeignDelivery`] when the address is not this machine's.
    pub fn set_delivery(&self, delivery: Delivery) -> Result<(), PracticeError> {
        check_delivery(&delivery)?;
        self.inner.courier.set_route(delivery);
        Ok(())
    }

    /// Sends the next `count` envelopes twice, with the same envelope id.
    pub fn duplicate_next_envelopes(&self, count: u32) {
        self.inner.courier.duplicate_next(count);
    }

    /// Holds the next `count` envelopes back and then sends them in reverse order.
    pub fn reorder_next_envelopes(&self, count: usize) {
        self.inner.courier.reorder_next(count);
    }

    /// Sends the envelopes that are held back now, in reverse order, however few they are.
    pub fn release_envelopes(&self) {
        self.inner.courier.release_held();
    }

    /// Behaves as if the next `count` acknowledgements had been lost on the way.
    pub fn lose_next_acks(&self, count: u32) {
        self.inner.courier.lose_next_acks(count);
    }

    /// How many of those are still to come.
    pub fn acks_to_lose(&self) -> u32 {
        self.inner.courier.acks_to_lose()
    }

    /// Sends a `disconnect` envelope to every socket: `warning`, `refresh_requested`, `too_many_websockets`, or
    /// `link_disabled`, after which Socket Mode is off.
    pub fn disconnect_sockets(&self, reason: &str) {
        self.inner.courier.disconnect_all(reason);
    }

    /// Turns Socket Mode back on after `link_disabled`.
    pub fn enable_socket_mode(&self) {
        self.inner.courier.enable_socket_mode();
    }

    /// Cuts every socket without a closing handshake.
    pub fn abort_sockets(&self) {
        self.inner.courier.abort_links();
    }

    /// Gives the silent sockets up, as Slack does in the end; gives how many there still are.
    pub fn cut_silent_sockets(&self) -> usize {
        self.inner.courier.cut_silent_links()
    }

    /// Makes every present socket silent: open, but nothing is read, written or answered, pings neither.
    pub fn silence_sockets(&self) {
        self.inner.courier.silence_links();
    }

    /// Makes every present socket mute: it looks alive and answers pings, and brings nothing.
    pub fn mute_sockets(&self) {
        self.inner.courier.mute_links();
    }

    /// How many sockets the app has open and can hear on.
    #[must_use]
    pub fn open_sockets(&self) -> usize {
        self.inner.courier.link_count()
    }

    /// How many envelopes wait for an acknowledgement or for being sent again.
    #[must_use]
    pub fn envelopes_waiting(&self) -> usize {
        self.inner.courier.waiting()
    }

    /// When the next event is sent again, in Unix milliseconds, if nothing else is under way to the app.
    #[must_use]
    pub fn waits_only_until(&self) -> Option<i64> {
        self.inner.courier.waits_only_until()
    }

    /// Looks at the clock: acknowledgements that are late, envelopes to deliver again, sockets to refresh.
    pub fn tick(&self) {
        let notes = self.inner.courier.tick();
        if !notes.is_empty() {
            self.with(|state| {
                for (rule, place, detail) in notes {
                    state.violate(&rule, &place, detail);
                }
            });
        }
    }

    /// Somebody of this workspace who can do what a person can.
    #[must_use]
    pub fn person(&self, id: &str) -> Person {
        Person::new(self.clone(), id)
    }

    /// The app's manifest.
    #[must_use]
    pub fn manifest(&self) -> Arc<Manifest> {
        self.read(|state| Arc::clone(&state.manifest))
    }

    /// Adds a member to the workspace and to #general.
    pub fn add_person(&self, person: NewPerson) {
        self.with(|state| state.admit(person));
    }

    /// Deactivates a member.
    pub fn remove_user(&self, user: &str) {
        self.with(|state| state.deactivate(user));
    }

    /// Archives a channel, as an administrator would.
    pub fn archive_channel(&self, channel: &str) {
        self.with(|state| {
            let admin = state.admin();
            state.archive_channel(channel, &admin);
        });
    }

    /// Brings an archived channel back.
    pub fn unarchive_channel(&self, channel: &str) {
        self.with(|state| {
            let admin = state.admin();
            state.unarchive_channel(channel, &admin);
        });
    }

    /// Deletes a channel with everything in it.
    pub fn delete_channel(&self, channel: &str) {
        self.with(|state| {
            let admin = state.admin();
            state.emit_channel_event(channel, "deleted", serde_json::json!({"actor_id": admin}));
            state.channels.remove(channel);
        });
    }

    /// Renames a channel.
    pub fn rename_channel(&self, channel: &str, name: &str) {
        self.with(|state| {
            let admin = state.admin();
            state.rename_channel(channel, &admin, name);
        });
    }

    /// Removes the bot from a channel.
    pub fn kick_bot(&self, channel: &str) {
        self.with(|state| {
            let (bot, admin) = (state.app.bot_user.clone(), state.admin());
            state.remove_member(channel, &bot, Some(&admin));
        });
    }

    /// Adds the bot to a channel.
    pub fn invite_bot(&self, channel: &str) {
        self.with(|state| {
            let (bot, admin) = (state.app.bot_user.clone(), state.admin());
            state.add_member(channel, &bot, Some(&admin));
        });
    }

    /// Changes who is in a user group.
    pub fn set_usergroup(&self, group: &str, members: &[&str]) {
        self.with(|state| state.set_usergroup(group, members));
    }

    /// Asks the app's commands door whether it is there with `ssl_check=1`, as Slack does now and then; true when it says
    /// 200.
    pub async fn check_ssl(&self, base_url: &str) -> bool {
        self.inner.courier.check_ssl(base_url).await
    }

    /// Asks the app's events door to prove itself, as Slack does when a request URL is saved.
    pub async fn verify_url(&self, base_url: &str) -> bool {
        let challenge = uuid::Uuid::new_v4().simple().to_string();
        self.inner.courier.verify_url(base_url, &challenge).await
    }

    fn describe(&self) -> String {
        let open = self.courier().link_count();
        self.read(|state| {
            let calls: Vec<String> = state
                .calls
                .iter()
                .rev()
                .take(8)
                .map(|call| format!("{} → {}", call.method, call.error().unwrap_or("ok")))
                .collect();
            let channels: Vec<String> =
                state.channels.values().map(|c| format!("{} ({} messages)", c.name, c.messages.len())).collect();
            format!(
                "{open} sockets open; the last calls, newest first: [{}]; channels: [{}]; violations: {:?}",
                calls.join(", "),
                channels.join(", "),
                state.violations
            )
        })
    }

    /// Every Web API call so far, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.read(|state| state.calls.iter().cloned().collect())
    }

    /// The calls of one method, oldest first.
    #[must_use]
    pub fn calls_of(&self, method: &str) -> Vec<CallRecord> {
        self.read(|state| state.calls.iter().filter(|call| call.method == method).cloned().collect())
    }

    /// Everything the app did that Slack would have refused, ignored or punished.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.tick();
        self.read(|state| state.violations.clone())
    }

    /// Forgets the violations so far and gives them.
    #[must_use]
    pub fn take_violations(&self) -> Vec<Violation> {
        self.tick();
        self.with(|state| std::mem::take(&mut state.violations))
    }

    /// The workspace as Slack names it.
    #[must_use]
    pub fn team(&self) -> TeamIdentity {
        self.read(|state| state.team.clone())
    }

    /// The bot and the app as Slack names them.
    #[must_use]
    pub fn app(&self) -> AppIdentity {
        self.read(|state| state.app.clone())
    }

    /// Posts a message of another app, which the workspace does not have otherwise: an alert with attachments, say. Gives
    /// its `ts`.
    pub fn post_as_app(&self, channel: &str, name: &str, message: Value) -> String {
        let mut body = message.as_object().cloned().unwrap_or_default();
        for (field, value) in [("subtype", "bot_message"), ("username", name), ("bot_id", "B0ANOTHERAPP")] {
            body.insert(field.to_owned(), Value::from(value));
        }
        self.with(|state| {
            state.post(channel, messages::Post { body, thread_ts: None, broadcast: false, metadata: None })
        })
    }

    /// Delivers a payload of the caller's own making as an event, for shapes this workspace does not produce itself.
    pub fn deliver_event(&self, subscription: &str, event: Value) {
        self.with(|state| state.emit(subscription, event));
    }
}
