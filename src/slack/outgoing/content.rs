//! What a message says, as plain text for the record. Alerts of other apps often have no text of their own, only blocks
//! or attachments, and no author, only a name.

use serde_json::Value;

use super::super::client::text;
use crate::incident::command::plain_text;
use crate::incident::rules::Rules;

/// A message's text and the names of its files. What has no person as its author begins with the app's name.
pub(in crate::slack) fn content(rules: &Rules, message: &Value) -> String {
    let mut lines = vec![plain(rules, &text(message, "/text"))];
    if lines.iter().all(|line| line.trim().is_empty()) {
        lines = of_blocks(message).iter().chain(&of_attachments(message)).map(|line| plain(rules, line)).collect();
    }
    for file in list(message, "/files") {
        let name = ["/name", "/title"].iter().map(|at| text(file, at)).find(|name| !name.is_empty());
        lines.extend(name.map(|name| format!("📎 {name}")));
    }
    lines.retain(|line| !line.trim().is_empty());
    let said = lines.join("\n");
    match app_name(message) {
        Some(name) if !said.is_empty() => format!("{name}: {said}"),
        _ => said,
    }
}

fn list<'m>(value: &'m Value, pointer: &str) -> impl Iterator<Item = &'m Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The name that an app's message is shown under; none for a person's.
fn app_name(message: &Value) -> Option<String> {
    if !text(message, "/user").is_empty() {
        return None;
    }
    ["/username", "/bot_profile/name"].iter().map(|at| text(message, at)).find(|name| !name.is_empty())
}

/// The texts of headers, sections and contexts, in order.
fn of_blocks(message: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for block in list(message, "/blocks") {
        lines.push(text(block, "/text/text"));
        for part in list(block, "/fields").chain(list(block, "/elements")) {
            // A context's elements hold their text themselves, a button's only its label, which says nothing here.
            if part.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "mrkdwn" || kind == "plain_text") {
                lines.push(text(part, "/text"));
            }
        }
    }
    lines
}

/// Each attachment's title and text, else what Slack shows where it cannot show the attachment.
fn of_attachments(message: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for attachment in list(message, "/attachments") {
        let whole = ["/pretext", "/title", "/text"].map(|at| text(attachment, at));
        let blocks = of_blocks(attachment);
        let said = whole.iter().chain(&blocks).any(|line| !line.is_empty());
        if said {
            lines.extend(whole.into_iter().chain(blocks));
        } else {
            lines.push(text(attachment, "/fallback"));
        }
    }
    lines
}

/// Slack's markup as plain text; people of the plan are named as the plan names them.
fn plain(rules: &Rules, text: &str) -> String {
    let mut named = text.to_owned();
    for contact in rules.contacts.values() {
        if let Some(user) = &contact.slack {
            named = named.replace(&format!("<@{user}>"), &format!("<@{user}|{}>", contact.name));
        }
    }
    plain_text(&named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(message: &Value) -> String {
        content(&Rules::default(), message)
    }

    #[test]
    fn an_alert_without_a_text_is_read_from_its_attachments_and_named() {
        let alert = json!({"bot_id": "B1", "username": "Alerts", "text": "", "attachments": [
            {"fallback": "not this", "title": "Disk 91 %", "text": "on <https://db.example.com|db-1> &amp; db-2"},
            {"fallback": "and this"},
        ]});
        assert_eq!(said(&alert), "Alerts: Disk 91 %\non db-1 (https://db.example.com) & db-2\nand this");
    }

    #[test]
    fn a_message_of_blocks_is_read_without_its_buttons() {
        let card = json!({"bot_profile": {"name": "Deploys"}, "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Deployed"}},
            {"type": "section", "fields": [{"type": "mrkdwn", "text": "v2"}, {"type": "mrkdwn", "text": "to all"}]},
            {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Undo"}}]},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": "by <@U1|ann>"}]},
        ]});
        assert_eq!(said(&card), "Deploys: Deployed\nv2\nto all\nby @ann");
    }

    #[test]
    fn a_persons_own_text_stands_alone_and_files_are_named() {
        let message = json!({"user": "U1", "username": "ann", "text": "look", "attachments": [{"text": "an unfurl"}],
            "files": [{"name": "graph.png"}, {"title": "Notes"}, {}]});
        assert_eq!(said(&message), "look\n📎 graph.png\n📎 Notes");
        assert_eq!(said(&json!({})), "");
    }
}
