//! The courier's memory: which sockets are open, which envelopes wait for an acknowledgement, which events come again.
//!
//! No waiting and no clock in here: every function is told what time it is.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use serde_json::Value;

use super::envelope::{Answer, Kind, Parcel};
use super::options::Delivery;
use super::socket::{self, Link, Out};

/// An envelope must be acknowledged within this many milliseconds (docs: "Handling user interaction").
const ACK_LIMIT_MS: i64 = 3000;
/// Retries of an event: at once, after a minute, after five (docs: "Events API").
const RETRY_AFTER_MS: [i64; 3] = [0, 60_000, 300_000];
/// A socket is warned this long before it is refreshed, and stays open this long after.
const REFRESH_NOTICE_MS: i64 = 10_000;
/// Acknowledged envelope ids that are remembered, to tell a late or second ack from a made-up one.
const IDS_KEPT: usize = 10_000;

pub(crate) struct Pending {
    pub parcel: Parcel,
    pub link: u64,
    pub sent_at_ms: i64,
    pub started: Instant,
}

#[derive(Default)]
pub(crate) struct Plans {
    pub duplicate: u32,
    pub lose_acks: u32,
    pub reorder: usize,
    pub held: Vec<Parcel>,
}

pub(crate) struct Hub {
    pub route: Delivery,
    pub links: Vec<Link>,
    pub turn: usize,
    pub next_link: u64,
    pub pending: HashMap<String, Pending>,
    pub due: Vec<(i64, Parcel)>,
    pub plans: Plans,
    pub tickets: HashMap<String, (i64, bool)>,
    pub closed_ids: HashSet<String>,
    pub closed_order: VecDeque<String>,
    pub socket_mode_on: bool,
    pub notes: Vec<(String, String, String)>,
}

impl Hub {
    pub fn new(route: Delivery) -> Self {
        Self {
            route,
            links: Vec::new(),
            turn: 0,
            next_link: 0,
            pending: HashMap::new(),
            due: Vec::new(),
            plans: Plans::default(),
            tickets: HashMap::new(),
            closed_ids: HashSet::new(),
            closed_order: VecDeque::new(),
            socket_mode_on: true,
            notes: Vec::new(),
        }
    }

    pub fn note(&mut self, rule: &str, place: &str, detail: &str) {
        self.notes.push((rule.to_owned(), place.to_owned(), detail.to_owned()));
    }

    pub fn close_id(&mut self, envelope: &str) {
        if self.closed_order.len() >= IDS_KEPT
            && let Some(oldest) = self.closed_order.pop_front()
        {
            self.closed_ids.remove(&oldest);
        }
        self.closed_ids.insert(envelope.to_owned());
        self.closed_order.push_back(envelope.to_owned());
    }

    pub fn put_on_socket(&mut self, parcel: Parcel, now: i64) {
        let usable: Vec<usize> = self
            .links
            .iter()
            .enumerate()
            .filter(|(_, link)| link.leaving_since.is_none() && link.is_writable())
            .map(|(at, _)| at)
            .collect();
        self.turn = self.turn.wrapping_add(1);
        let chosen = usable.get(self.turn.checked_rem(usable.len()).unwrap_or(0)).and_then(|at| self.links.get(*at));
        let Some(link) = chosen else {
            let pending = Pending { parcel, link: 0, sent_at_ms: now, started: Instant::now() };
            return self.fail(pending, "connection_failed", now);
        };
        let envelope = uuid::Uuid::new_v4().to_string();
        let frame = socket::envelope_frame(&envelope, &parcel);
        link.write(frame.clone());
        if self.plans.duplicate > 0 {
            self.plans.duplicate -= 1;
            link.write(frame);
        }
        let pending = Pending { link: link.id, parcel, sent_at_ms: now, started: Instant::now() };
        self.pending.insert(envelope, pending);
    }

    pub fn acked(&mut self, envelope: &str, payload: Option<Value>) {
        let Some(pending) = self.pending.remove(envelope) else {
            if !self.closed_ids.contains(envelope) {
                self.note("unknown_envelope", "socket", &format!("an ack for {envelope}, which was never sent"));
            }
            return;
        };
        self.close_id(envelope);
        let says_something = payload.as_ref().and_then(Value::as_object).is_some_and(|map| !map.is_empty());
        if says_something && !pending.parcel.accepts_payload {
            let place = pending.parcel.kind.envelope_type();
            self.note("unexpected_ack_payload", place, "this envelope accepts no response payload");
        }
        if let Some(reply) = pending.parcel.reply {
            let payload = payload.filter(|_| pending.parcel.accepts_payload);
            // The person may have stopped waiting.
            let _ = reply.send(Answer::Acked { payload, elapsed: pending.started.elapsed() });
        }
    }

    pub fn time_out(&mut self, now: i64) {
        let late: Vec<String> = self
            .pending
            .iter()
            .filter(|(_, pending)| now - pending.sent_at_ms >= ACK_LIMIT_MS)
            .map(|(id, _)| id.clone())
            .collect();
        for envelope in late {
            if let Some(pending) = self.pending.remove(&envelope) {
                self.close_id(&envelope);
                self.note("late_ack", pending.parcel.kind.envelope_type(), "no acknowledgement within 3 s");
                // The clock may have jumped far beyond the limit.
                let failed_at = pending.sent_at_ms + ACK_LIMIT_MS;
                self.fail(pending, "timeout", failed_at);
            }
        }
    }

    /// An event is tried again later; a person is told at once.
    pub fn fail(&mut self, pending: Pending, reason: &'static str, now: i64) {
        let elapsed = pending.started.elapsed();
        let parcel = pending.parcel;
        if parcel.kind == Kind::Event {
            return self.retry_later(parcel, reason, now);
        }
        if let Some(reply) = parcel.reply {
            let answer = if reason == "timeout" {
                Answer::TimedOut { elapsed }
            } else {
                Answer::Undelivered { why: reason.to_owned() }
            };
            // The person may have stopped waiting.
            let _ = reply.send(answer);
        }
    }

    pub fn retry_later(&mut self, parcel: Parcel, reason: &'static str, now: i64) {
        let at = usize::try_from(parcel.attempt).ok().and_then(|attempt| RETRY_AFTER_MS.get(attempt));
        let Some(wait) = at else {
            return self.note("undelivered_event", "events_api", &format!("given up after 3 retries: {reason}"));
        };
        let attempt = parcel.attempt + 1;
        self.due.push((now + wait, Parcel { attempt, retry_reason: Some(reason), ..parcel }));
    }

    pub fn refresh_links(&mut self, now: i64) {
        for link in &mut self.links {
            let age = now - link.opened_at;
            if let Some(since) = link.leaving_since {
                if now - since >= REFRESH_NOTICE_MS {
                    link.send(Out::Close);
                }
            } else if age >= link.life_ms {
                link.write(socket::disconnect_frame("refresh_requested"));
                link.leaving_since = Some(now);
            } else if age >= link.life_ms - REFRESH_NOTICE_MS && !link.warned {
                link.warned = true;
                link.write(socket::disconnect_frame("warning"));
            }
        }
    }
}
