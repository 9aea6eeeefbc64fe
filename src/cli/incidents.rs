//! `vigie incidents`: what there is in the database, also while the bot runs.

use std::fmt::Write as _;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{Incidents, files, print, surroundings};
use crate::config::{Env, environment};
use crate::incident::state::Incident;
use crate::incident::time::Instant;
use crate::store::Store;

/// Prints the newest incidents.
pub(super) async fn list(args: &Incidents) -> anyhow::Result<()> {
    let store = open().await?;
    let incidents = store.recent_incidents(args.limit).await.context("the incidents could not be read")?;
    if args.json {
        return print(&for_scripts(&incidents));
    }
    let zone = surroundings(args.config.as_deref())?.and_then(|config| TimeZone::get(&config.rules.zone).ok());
    print(&for_people(&incidents, &zone.unwrap_or(TimeZone::UTC)))
}

/// The database that the environment names, to read from.
pub(super) async fn open() -> anyhow::Result<Store> {
    let url = Env::database(&environment, &files)?;
    let store = Store::open_to_read(url.expose_secret()).await.map_err(anyhow::Error::from);
    store.map_err(|error| {
        let cause = error.root_cause();
        anyhow!("the database could not be opened: {cause}; set DATABASE_URL to the one that vigie serve uses")
    })
}

fn for_scripts(incidents: &[Incident]) -> String {
    let list: Vec<_> = incidents
        .iter()
        .map(|incident| {
            json!({
                "incident": incident.id,
                "title": incident.title,
                "severity": incident.severity.key,
                "status": incident.status.word(),
                "service": incident.service,
                "drill": incident.drill,
                "declared_at": incident.declared.at.to_rfc3339(),
                "resolved_at": incident.resolution.as_ref().map(|resolution| resolution.mark.at.to_rfc3339()),
                "channel": incident.channel.as_ref().map(|channel| &channel.id),
            })
        })
        .collect();
    format!("{:#}\n", json!(list))
}

fn for_people(incidents: &[Incident], zone: &TimeZone) -> String {
    if incidents.is_empty() {
        return "There is no incident yet. In Slack: /incident start …\n".to_owned();
    }
    let rows: Vec<[String; 4]> = incidents.iter().map(|incident| row(incident, zone)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1), width(2), width(3)];
    let mut text = String::new();
    for (row, incident) in rows.iter().zip(incidents) {
        let drill = if incident.drill { " (drill)" } else { "" };
        let [id, severity, status, declared] = row;
        let [a, b, c, d] = widths;
        let title: String =
            incident.title.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        writeln!(text, "{id:a$}  {severity:b$}  {status:c$}  {declared:d$}  {title}{drill}")
            .expect("a String takes text");
    }
    text
}

fn row(incident: &Incident, zone: &TimeZone) -> [String; 4] {
    [
        incident.id.to_string(),
        incident.severity.label.clone(),
        incident.status.word().to_owned(),
        shown(incident.declared.at, zone),
    ]
}

/// `2026-11-20 02:40 CET`
fn shown(at: Instant, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(at.0) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => at.to_rfc3339(),
    }
}
