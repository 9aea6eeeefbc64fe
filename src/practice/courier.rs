//! Delivery of envelopes to the app: commands, interactions and events, over Socket Mode or signed HTTP, with Slack's
//! three seconds, its redeliveries and the faults a test asks for.
//!
//! Redelivery and the three seconds follow the workspace's clock; [`Courier::tick`] is called by a ticker many times a
//! second. A real-time limit only guards against waiting for ever when the clock stands still.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::doors::{Door, DoorAnswer};
use super::envelope::{Answer, Kind, Parcel};
use super::hub::Hub;
use super::options::{Delivery, Now};
use super::socket::{self, Link, Out};

/// How long a person waits in real time when the workspace's clock stands still.
const REAL_GUARD: Duration = Duration::from_secs(10);
/// A socket lives this long by the workspace's clock (what `approximate_connection_time` announces).
const LINK_LIFE_MS: i64 = 18_060_000;
/// …and this long when the client asked for `debug_reconnects`.
const DEBUG_LIFE_MS: i64 = 360_000;
/// More than this many sockets are refused.
const MAX_LINKS: usize = 10;

/// Carries parcels to the app.
pub(crate) struct Courier {
    hub: Mutex<Hub>,
    door: Door,
    now: Now,
    app_id: String,
    results: mpsc::UnboundedSender<(Parcel, DoorAnswer, Duration)>,
}

impl Courier {
    pub fn new(
        route: Delivery,
        signing_secret: &str,
        app_id: &str,
        now: Now,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<(Parcel, DoorAnswer, Duration)>) {
        let (results, back) = mpsc::unbounded_channel();
        let hub = Hub::new(route);
        let courier = Arc::new(Self {
            hub: Mutex::new(hub),
            door: Door::new(signing_secret),
            now,
            app_id: app_id.to_owned(),
            results,
        });
        (courier, back)
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on envelopes take this way.
    pub fn set_route(&self, route: Delivery) {
        self.hub().route = route;
    }

    /// Delivers a command or interaction and waits for what becomes of it.
    pub async fn deliver(&self, kind: Kind, payload: Value, accepts_payload: bool) -> Answer {
        let (reply, answer) = oneshot::channel();
        let started = Instant::now();
        self.send(Parcel { kind, payload, accepts_payload, reply: Some(reply), attempt: 0, retry_reason: None });
        match tokio::time::timeout(REAL_GUARD, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Answer::Undelivered { why: "the envelope was dropped".to_owned() },
            Err(_) => {
                self.hub().note("late_ack", kind.envelope_type(), "no acknowledgement within 10 s of real time");
                Answer::TimedOut { elapsed: started.elapsed() }
            }
        }
    }

    /// Delivers an event; nobody waits for it.
    pub fn send_event(&self, payload: Value) {
        self.send(Parcel {
            kind: Kind::Event,
            payload,
            accepts_payload: false,
            reply: None,
            attempt: 0,
            retry_reason: None,
        });
    }

    fn send(&self, parcel: Parcel) {
        let now = (self.now)();
        let mut hub = self.hub();
        if hub.plans.reorder > 0 {
            hub.plans.held.push(parcel);
            if hub.plans.held.len() >= hub.plans.reorder {
                hub.plans.reorder = 0;
                let held = std::mem::take(&mut hub.plans.held);
                for parcel in held.into_iter().rev() {
                    self.put(&mut hub, parcel, now);
                }
            }
            return;
        }
        self.put(&mut hub, parcel, now);
    }

    fn put(&self, hub: &mut Hub, parcel: Parcel, now: i64) {
        match hub.route.clone() {
            Delivery::Socket => hub.put_on_socket(parcel, now),
            Delivery::Http { base_url } => {
                if hub.plans.duplicate > 0 {
                    hub.plans.duplicate -= 1;
                    self.door.send_unanswered(&base_url, parcel.kind, &parcel.payload, now / 1000);
                }
                self.door.send(&base_url, parcel, now / 1000, self.results.clone());
            }
        }
    }

    /// What came back from an HTTP delivery.
    pub fn door_answered(&self, parcel: Parcel, answer: DoorAnswer, elapsed: Duration) {
        let now = (self.now)();
        let mut hub = self.hub();
        if parcel.kind == Kind::Event {
            match answer {
                DoorAnswer::Ok { .. } => {}
                DoorAnswer::Failed { reason, no_retry } => {
                    if no_retry {
                        return;
                    }
                    hub.retry_later(parcel, reason, now);
                }
            }
            return;
        }
        let answer = match answer {
            DoorAnswer::Ok { payload } => Answer::Acked { payload, elapsed },
            DoorAnswer::Failed { reason: "http_timeout", .. } => {
                hub.note("late_ack", parcel.kind.envelope_type(), "no answer within 3 s");
                Answer::TimedOut { elapsed }
            }
            DoorAnswer::Failed { reason, .. } => {
                hub.note("failed_delivery", parcel.kind.envelope_type(), reason);
                Answer::Undelivered { why: reason.to_owned() }
            }
        };
        if let Some(reply) = parcel.reply {
            // The person may have stopped waiting.
            let _ = reply.send(answer);
        }
    }

    /// A single-use address for one WebSocket, or why there is none.
    pub fn ticket(&self) -> Result<String, &'static str> {
        let now = (self.now)();
        let mut hub = self.hub();
        if !hub.socket_mode_on {
            return Err("forbidden_team");
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        hub.tickets.retain(|_, (issued, _)| now - *issued < 60_000);
        hub.tickets.insert(id.clone(), (now, false));
        Ok(id)
    }

    /// Opens a link for a ticket: its number and what to write to it. None when the ticket is unknown or used.
    pub fn open_link(&self, ticket: &str, debug_reconnects: bool) -> Option<(u64, mpsc::UnboundedReceiver<Out>)> {
        let now = (self.now)();
        let mut hub = self.hub();
        let (issued, used) = hub.tickets.get_mut(ticket)?;
        if *used || now - *issued > 60_000 {
            return None;
        }
        *used = true;
        hub.next_link += 1;
        let id = hub.next_link;
        let (to, from) = mpsc::unbounded_channel();
        let life_ms = if debug_reconnects { DEBUG_LIFE_MS } else { LINK_LIFE_MS };
        let too_many = hub.links.iter().filter(|link| link.leaving_since.is_none()).count() >= MAX_LINKS;
        let mut link = Link::new(id, to, now, life_ms);
        if too_many {
            link.write(socket::disconnect_frame("too_many_websockets"));
            link.leaving_since = Some(now);
        } else {
            let open = hub.links.iter().filter(|link| link.leaving_since.is_none()).count() + 1;
            link.write(socket::hello_frame(open, &self.app_id, life_ms / 1000));
        }
        hub.links.push(link);
        Some((id, from))
    }

    /// A link is gone: what was on it and not acknowledged failed.
    pub fn link_closed(&self, id: u64) {
        let now = (self.now)();
        let mut hub = self.hub();
        hub.links.retain(|link| link.id != id);
        let lost: Vec<String> =
            hub.pending.iter().filter(|(_, pending)| pending.link == id).map(|(id, _)| id.clone()).collect();
        for envelope in lost {
            if let Some(pending) = hub.pending.remove(&envelope) {
                hub.close_id(&envelope);
                hub.fail(pending, "connection_failed", now);
            }
        }
    }

    /// A text frame from the app.
    pub fn frame(&self, text: &str) {
        let mut hub = self.hub();
        let frame: Value = match serde_json::from_str(text) {
            Ok(frame) => frame,
            Err(error) => return hub.note("bad_frame", "socket", &format!("not JSON: {error}")),
        };
        let Some(envelope) = frame.get("envelope_id").and_then(Value::as_str) else {
            return hub.note("bad_frame", "socket", "a frame without envelope_id");
        };
        if hub.plans.lose_acks > 0 && hub.pending.contains_key(envelope) {
            hub.plans.lose_acks -= 1;
            return;
        }
        let payload = frame.get("payload").filter(|payload| !payload.is_null()).cloned();
        hub.acked(envelope, payload);
    }

    /// Looks at the clock: times out, redelivers, refreshes sockets. Gives the violations found since the last time.
    pub fn tick(&self) -> Vec<(String, String, String)> {
        let now = (self.now)();
        let mut hub = self.hub();
        hub.time_out(now);
        let (due, later) = std::mem::take(&mut hub.due).into_iter().partition(|(at, _)| *at <= now);
        hub.due = later;
        let due: Vec<(i64, Parcel)> = due;
        for (_, parcel) in due {
            self.put(&mut hub, parcel, now);
        }
        hub.refresh_links(now);
        std::mem::take(&mut hub.notes)
    }

    /// Whether the commands door at this address answers Slack's `ssl_check`.
    pub async fn check_ssl(&self, base_url: &str) -> bool {
        self.door.check_ssl(base_url, (self.now)() / 1000).await
    }

    /// Whether the events door at this address proves that it is there.
    pub async fn verify_url(&self, base_url: &str, challenge: &str) -> bool {
        self.door.verify_url(base_url, challenge, (self.now)() / 1000).await
    }

    /// Sends the next `count` envelopes twice.
    pub fn duplicate_next(&self, count: u32) {
        self.hub().plans.duplicate += count;
    }

    /// Holds the next `count` envelopes back and then sends them in reverse order.
    pub fn reorder_next(&self, count: usize) {
        self.hub().plans.reorder = count;
    }

    /// Sends what is held back now, in reverse order.
    pub fn release_held(&self) {
        let now = (self.now)();
        let mut hub = self.hub();
        hub.plans.reorder = 0;
        let held = std::mem::take(&mut hub.plans.held);
        for parcel in held.into_iter().rev() {
            self.put(&mut hub, parcel, now);
        }
    }

    /// Behaves as if the next `count` acknowledgements had been lost on the way.
    pub fn lose_next_acks(&self, count: u32) {
        self.hub().plans.lose_acks += count;
    }

    /// How many of those are still to come.
    pub fn acks_to_lose(&self) -> u32 {
        self.hub().plans.lose_acks
    }

    /// Sends a `disconnect` envelope to every socket.
    pub fn disconnect_all(&self, reason: &str) {
        let now = (self.now)();
        let mut hub = self.hub();
        for link in &mut hub.links {
            link.write(socket::disconnect_frame(reason));
            if reason != "warning" {
                link.leaving_since.get_or_insert(now);
            }
        }
        if reason == "link_disabled" {
            hub.socket_mode_on = false;
        }
    }

    /// Turns Socket Mode back on after `link_disabled`.
    pub fn enable_socket_mode(&self) {
        self.hub().socket_mode_on = true;
    }

    /// Cuts every socket without a closing handshake.
    pub fn abort_links(&self) {
        self.hub().links.iter().for_each(|link| link.send(Out::Abort));
    }

    /// Cuts the sockets that were made silent or mute; gives how many there still are.
    pub fn cut_silent_links(&self) -> usize {
        let hub = self.hub();
        let silent = hub.links.iter().filter(|link| link.silent);
        silent.map(|link| link.send(Out::Abort)).count()
    }

    /// Makes every present socket deaf and dumb: open, but nothing is read, written or answered.
    pub fn silence_links(&self) {
        self.quiet_links(|| Out::Silence);
    }

    /// Lets every present socket look alive and bring nothing.
    pub fn mute_links(&self) {
        self.quiet_links(|| Out::Mute);
    }

    fn quiet_links(&self, how: impl Fn() -> Out) {
        let mut hub = self.hub();
        for link in &mut hub.links {
            link.send(how());
            link.silent = true;
        }
    }

    /// How many sockets take envelopes.
    pub fn link_count(&self) -> usize {
        self.hub().links.iter().filter(|link| link.leaving_since.is_none() && !link.silent).count()
    }

    /// When the next event is sent again, if that is all that waits.
    pub fn waits_only_until(&self) -> Option<i64> {
        let hub = self.hub();
        let rests = hub.pending.is_empty() && hub.plans.held.is_empty();
        hub.due.iter().map(|(at, _)| *at).min().filter(|_| rests)
    }

    /// How many envelopes wait for an acknowledgement or a retry.
    pub fn waiting(&self) -> usize {
        let hub = self.hub();
        hub.pending.len() + hub.due.len() + hub.plans.held.len()
    }
}
