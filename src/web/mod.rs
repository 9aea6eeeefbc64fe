//! What machines ask Vigie: is it alive, does it really work, what are its figures. It tells and changes nothing.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use crate::clock::Clock;
use crate::incident::time::Millis;
use crate::slack::{Health, Slack, SlackFault, unheard_by_all};
use crate::store::Store;

/// How long any part may take to show that it works.
const WITHIN: Duration = Duration::from_secs(3);
/// A socket that heard nothing for so long, not even the answer to a ping, is deaf.
const DEAF_AFTER: Millis = Millis::seconds(30);

/// What the answers are made from.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Slack's Web API.
    pub slack: Slack,
    /// Slack's door; `None` when Slack calls in over HTTP.
    pub door: Option<Health>,
    /// The figures.
    pub metrics: PrometheusHandle,
}

/// The routes `/healthz`, `/readyz` and `/metrics`.
pub fn routes(gauges: Gauges) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(gauges)
}

/// Ready means: the database takes writes' transactions, Slack is heard, and what is due is being done.
async fn ready(State(gauges): State<Gauges>) -> impl IntoResponse {
    let database = tokio::time::timeout(WITHIN, gauges.store.ping()).await;
    let database = match database {
        Ok(Ok(())) => Ok(()),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(_) => Err("the database does not answer".to_owned()),
    };
    let too_late = |_| "the database does not answer".to_owned();
    let slack = tokio::time::timeout(2 * WITHIN, heard(&gauges)).await.map_err(too_late).flatten();
    let engine = tokio::time::timeout(WITHIN, on_time(&gauges)).await.map_err(too_late).flatten();
    let parts = [("database", database.map(|()| None)), ("slack", slack), ("engine", engine.map(|()| None))];
    let good = parts.iter().all(|(_, part)| part.is_ok());
    let said = |part: Result<Option<String>, String>| part.unwrap_or_else(Some).unwrap_or_else(|| "ok".to_owned());
    let body: serde_json::Map<String, serde_json::Value> =
        parts.into_iter().map(|(name, part)| (name.to_owned(), json!(said(part)))).collect();
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body))
}

/// Whether Slack is heard. Where Slack calls in, its silence and its passing troubles are said and no more: a balancer that
/// goes by readiness would keep Slack's calls away, which can be taken all the same. Who Vigie is must have been heard once.
async fn heard(gauges: &Gauges) -> Result<Option<String>, String> {
    let now = gauges.clock.now();
    let mut songs = gauges.slack.canary_unheard();
    let silent_since = match &gauges.door {
        Some(door) => {
            if let Some(why) = gauges.slack.refusal() {
                return Err(why);
            }
            let gauge = door.gauge();
            if gauge.links == 0 {
                return Err(gauge.fault.unwrap_or_else(|| "no connection to Slack is open".to_owned()));
            }
            // What was sung while the door was shut is not to be heard.
            songs.retain(|sung| gauge.connected_since.is_none_or(|opened| *sung >= opened));
            gauge.last_heard.filter(|at| now.since(*at) > DEAF_AFTER)
        }
        // Slack calls in: whether it still does only the canary shows.
        None => {
            let passing = match tokio::time::timeout(WITHIN, gauges.slack.check_tokens()).await {
                Ok(Ok(_)) => None,
                Ok(Err(fault @ SlackFault::Permanent { .. })) => return Err(fault.to_string()),
                Ok(Err(fault)) => Some(fault.to_string()),
                Err(_) => Some("Slack does not answer".to_owned()),
            };
            if let Some(why) = passing {
                return if gauges.slack.known_identity().is_some() { Ok(Some(why)) } else { Err(why) };
            }
            None
        }
    };
    let unheard = unheard_by_all(&gauges.store, &songs, now).await;
    let silent_since = silent_since.or(unheard.map_err(|fault| fault.to_string())?);
    let silent = silent_since.map(|since| format!("Slack has been silent for {} s", now.since(since).0 / 1000));
    match silent {
        Some(silent) if gauges.door.is_some() => Err(silent),
        silent => Ok(silent),
    }
}

/// Nothing that is due has waited for longer than a poll takes, with room to spare.
async fn on_time(gauges: &Gauges) -> Result<(), String> {
    const LATE: Millis = Millis::seconds(10);
    if gauges.store.is_paused().await.map_err(|fault| fault.to_string())? {
        return Err("paused, for the database was restored from a backup; “vigie resume” lets it go on (on SQLite while this is stopped)".to_owned());
    }
    if gauges.store.has_a_newer().await.map_err(|fault| fault.to_string())? {
        return Err("a newer vigie has this database, and this one takes no more work; stop it".to_owned());
    }
    let late = gauges.store.lateness(gauges.clock.now()).await.map_err(|fault| fault.to_string())?;
    let parts = [
        (late.wake, "an incident is overdue"),
        (late.input, "something that came in was not decided upon"),
        (late.page, "a page was not sent"),
        (late.work, "what is to be changed or told was not begun"),
        (late.lease, "what somebody had in hand was not taken over"),
    ];
    match parts.into_iter().max_by_key(|(late, _)| *late) {
        Some((late, what)) if late > LATE => Err(format!("{what} for {} s", late.0 / 1000)),
        _ => Ok(()),
    }
}

async fn figures(State(gauges): State<Gauges>) -> impl IntoResponse {
    // A database that does not tell leaves no number behind: the one before would look like a calm.
    let backlog = tokio::time::timeout(WITHIN, gauges.store.backlog()).await;
    let (inbox, outbox) = match backlog {
        Ok(Ok((inbox, outbox))) => (inbox as f64, outbox as f64),
        Ok(Err(_)) | Err(_) => (f64::NAN, f64::NAN),
    };
    metrics::gauge!("vigie_inbox_waiting").set(inbox);
    metrics::gauge!("vigie_outbox_waiting").set(outbox);
    let text = gauges.metrics.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
