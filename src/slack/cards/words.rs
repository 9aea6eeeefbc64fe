//! Replies, refusals and faults: the core's [`Words`] in the reader's language.

use serde_json::{Map, Value, json};

use super::pen::{Pen, Said};
use crate::incident::id::UserId;
use crate::incident::people::Role;
use crate::incident::words::Words;
use crate::render::Locale;
use crate::slack::scene::Scene;

/// Variables that hold Slack ids of people.
const PEOPLE: [&str; 2] = ["user", "users"];
/// Variables that hold names of people, with a role's own word among them.
const APPROVERS: &str = "approvers";
/// Variables that hold a word whose label is `<prefix>.<word>`, and the prefix.
const WORDS: [(&str, &str); 2] = [("role", "role"), ("status", "status")];

/// The sentence for Slack: people are mentions, instants are Slack dates.
///
/// # Errors
/// When the label does not exist or wants a variable that the words do not have.
pub fn say(scene: &Scene<'_>, locale: Locale, words: &Words) -> Said<String> {
    let pen = Pen::new(scene, locale);
    Ok(mrkdwn(&pen, words)?.as_str().to_owned())
}

/// The sentence for a terminal or a document.
///
/// # Errors
/// As [`say`].
pub fn plain(scene: &Scene<'_>, locale: Locale, words: &Words) -> Said<String> {
    let pen = Pen::new(scene, locale);
    pen.plain(&words.key, vars(&pen, words)?)
}

pub(super) fn mrkdwn(pen: &Pen<'_>, words: &Words) -> Said {
    pen.say(&words.key, vars(pen, words)?)
}

/// The variables as labels want them: people with a name, our own words in the reader's language.
pub(super) fn vars(pen: &Pen<'_>, words: &Words) -> Said<Value> {
    let mut vars: Map<String, Value> = words.vars.clone();
    for (name, value) in &mut vars {
        if PEOPLE.contains(&name.as_str()) {
            *value = people(pen, value);
        }
        if name == APPROVERS {
            *value = roles_named(pen, value)?;
        }
        let prefix = WORDS.iter().find(|(word, _)| word == name).map(|(_, prefix)| prefix);
        if let (Some(prefix), Value::String(word)) = (prefix, &*value) {
            let key = format!("{prefix}.{word}");
            if pen.render.has_label(&key) {
                *value = Value::String(pen.word(&key)?);
            }
        }
    }
    Ok(json!(vars))
}

/// A role among the approvers is called as people call it.
fn roles_named(pen: &Pen<'_>, value: &Value) -> Said<Value> {
    let Value::Array(names) = value else {
        return Ok(value.clone());
    };
    let named = names.iter().map(|name| match name.as_str().map(str::parse::<Role>) {
        Some(Ok(role)) => Ok(Value::String(pen.word(&format!("role.{role}"))?)),
        _ => Ok(name.clone()),
    });
    named.collect()
}

/// Slack ids as the helpers `person` and `people` want them.
fn people(pen: &Pen<'_>, value: &Value) -> Value {
    match value {
        Value::String(id) => pen.person(&UserId(id.clone())),
        Value::Array(ids) => ids.iter().map(|id| people(pen, id)).collect(),
        other => other.clone(),
    }
}
