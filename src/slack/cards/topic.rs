//! The channel's topic and bookmarks.

use serde_json::json;

use super::blocks::web_address;
use super::markup::{Mrkdwn, fit};
use super::pen::{Pen, Said, emoji};
use crate::incident::people::Role;
use crate::incident::state::Incident;
use crate::slack::scene::Scene;

/// Slack's limit for a topic.
const TOPIC: usize = 250;
/// Slack's limits for a bookmark.
const BOOKMARK_TITLE: usize = 256;
const BOOKMARK_LINK: usize = 2_048;

/// `🔴 SEV2 · Acknowledged · IC On-call lead · checkout returns 500`. No mentions: a topic is read, not answered.
///
/// # Errors
/// When a label is missing or lacks a variable.
pub fn topic(scene: &Scene<'_>, incident: &Incident) -> Said<String> {
    let pen = Pen::for_channel(scene, incident);
    let commander = incident.roles.get(&Role::Commander).map(|user| pen.person(user));
    let name = commander.as_ref().and_then(|person| person.get("name"));
    let vars = json!({
        "emoji": emoji(incident.severity.rank),
        "severity": incident.severity.label,
        "status": pen.word(&format!("status.{}", incident.status.word()))?,
        "commander": name,
        "title": incident.title,
        "drill": incident.drill,
    });
    // Escaped, so that a title never becomes a mention; never cut inside an escape.
    Ok(Mrkdwn::of(&pen.plain("topic.line", vars)?).visible().fit(TOPIC).as_str().to_owned())
}

/// Title and link of each bookmark: the crisis call and the status page, as far as they are configured.
///
/// # Errors
/// As [`topic`].
pub fn bookmarks(scene: &Scene<'_>, incident: &Incident) -> Said<Vec<(String, String)>> {
    let pen = Pen::for_channel(scene, incident);
    let known = [
        ("bookmark.call", incident.severity.call_link.as_ref()),
        ("bookmark.status_page", scene.rules.status_page.as_ref()),
    ];
    let mut bookmarks = Vec::new();
    for (key, address) in known {
        let link = address.and_then(|address| web_address(address)).map(String::from);
        if let Some(link) = link.filter(|link| link.len() <= BOOKMARK_LINK) {
            bookmarks.push((fit(&pen.word(key)?, BOOKMARK_TITLE), link));
        }
    }
    Ok(bookmarks)
}
