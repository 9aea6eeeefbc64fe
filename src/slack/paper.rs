//! The post-mortem as it is shared in the channel: its title, the word beside it, and the document. Drawn, not sent.

use serde_json::json;

use super::cards::pen::{Pen, Said, headline};
use super::documents::{self, Format};
use super::scene::Scene;
use crate::incident::state::{Incident, Kept, Run};

/// The layout that is shared in the channel; a team lays its own over it.
const LAYOUT: &str = "long";

/// A document ready to be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its title, as plain text.
    pub title: String,
    /// What is said beside it, as Slack markup.
    pub comment: String,
    /// The document itself, as Markdown.
    pub markdown: String,
}

/// What is said beside a file that was kept before a run.
///
/// # Errors
/// When a template is missing or lacks a variable.
pub fn kept_comment(pen: &Pen<'_>, run: &Run, kept: &Kept) -> Said<String> {
    let vars = json!({"title": run.action.title, "run": run.id.to_string(), "at": kept.at.0});
    Ok(pen.say("kept.comment", vars)?.as_str().to_owned())
}

/// Compiles the post-mortem and writes it in the incident's language.
///
/// # Errors
/// When a template is missing or lacks a variable.
pub fn document(scene: &Scene<'_>, incident: &Incident) -> Said<Document> {
    let pen = Pen::for_channel(scene, incident);
    let markdown = documents::postmortem(scene, incident, LAYOUT, Format::Markdown)?;
    Ok(Document {
        title: format!("{} {}: {}", pen.word("button.postmortem")?, incident.id, incident.title),
        comment: headline(&pen, incident)?.as_str().to_owned(),
        markdown,
    })
}
