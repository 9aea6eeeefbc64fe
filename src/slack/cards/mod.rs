//! What people see: each card as a plain function of the scene.
//!
//! Nothing here sends, stores or decides. Every text is a label or a message of `templates/`; every text from outside
//! is escaped once, by [`markup::Mrkdwn`]; every limit of Slack's is kept by [`blocks`]. A button's value is the command
//! line it stands for.

pub mod blocks;
mod diagnostic;
pub mod facts;
mod incident;
pub mod markup;
pub mod notice;
mod page;
pub mod pen;
mod plan;
pub mod plan_text;
mod progress;
mod run;
pub mod sheets;
mod steps;
pub mod topic;
mod update;
pub mod words;

#[cfg(test)]
pub(super) mod example;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod labels;
#[cfg(test)]
pub(super) mod limits;
#[cfg(test)]
mod looks;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod runs;

pub use page::page_why;
pub(super) use update::send_or_hold;

use crate::incident::timeline::Card;
use crate::render::RenderFault;
use crate::slack::scene::{Drawn, Scene};

/// The card as it looks now; nothing when the scene has nothing to show for it.
///
/// # Errors
/// When a template is missing or lacks a variable.
pub fn draw(scene: &Scene<'_>, card: &Card) -> Result<Option<Drawn>, RenderFault> {
    let Some(incident) = scene.incident else {
        return Ok(None);
    };
    match card {
        Card::Incident => incident::draw(scene, incident).map(Some),
        Card::Announcement => page::announcement(scene, incident).map(Some),
        Card::Page(id) => drawn(incident.pages.get(id), |page| page::draw(scene, incident, page)),
        Card::Run(id) => drawn(incident.runs.get(id), |run| run::draw(scene, incident, run)),
        Card::Update(id) => drawn(incident.updates.get(id), |update| update::draw(scene, incident, update)),
        Card::Diagnostic(id) => {
            drawn(incident.diagnostics.get(id), |round| diagnostic::draw(scene, incident, *id, round))
        }
        Card::Notice(seq) => notice::draw(scene, incident, *seq),
        Card::Reminder(n) => update::reminder(scene, incident, *n),
        // The post-mortem is a file.
        Card::PostMortem(_) | Card::Kept(..) => Ok(None),
    }
}

fn drawn<T>(what: Option<T>, draw: impl FnOnce(T) -> Result<Drawn, RenderFault>) -> Result<Option<Drawn>, RenderFault> {
    what.map(draw).transpose()
}
