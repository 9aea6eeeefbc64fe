//! The post-mortem as it is shared in the channel: its title, the word beside it, and the document. Drawn, not sent.

use super::cards::pen::{Pen, Said, headline};
use super::documents::{self, Format};
use super::scene::Scene;
use crate::incident::state::Incident;

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
