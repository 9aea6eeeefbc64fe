//! Dialogs and Home: drawn from the scene, read back into the grammar's own commands.
//!
//! A dialog is another way to write a command line: what is sent off becomes a [`Line`], so there is one parser, one
//! authorisation and one path. State is read from Slack's raw JSON, which keeps what typed models drop.

mod hand_over;
mod home;
mod inputs;
mod reason;
mod resolve;
mod start;
mod state;
mod update;

#[cfg(test)]
mod promises;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::incident::command::{Line, Modal};
use crate::incident::id::{ChannelId, IncidentId, UserId};
use crate::incident::words::Words;
use crate::render::RenderFault;
use crate::slack::scene::Scene;

pub use hand_over::hand_over;
pub use home::home;
pub use reason::{Reason, reason};

/// What somebody sent off with a dialog.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The command it stands for.
    pub line: Line,
    /// Where the dialog was opened from.
    pub channel: Option<ChannelId>,
    /// The input that a refusal of the command is shown under.
    pub block: String,
}

/// The dialog that a command opens when it comes without its text, as Slack's `view`. What was typed stands in it.
///
/// # Errors
/// When a label or message is missing or lacks a variable.
pub fn modal(
    scene: &Scene<'_>,
    modal: Modal<'_>,
    user: &UserId,
    channel: Option<&ChannelId>,
) -> Result<Value, RenderFault> {
    match modal {
        Modal::Start(begun) => start::draw(scene, begun, user, channel),
        Modal::Update(begun) => update::draw(scene, begun, user, channel),
        Modal::Resolve(begun) => resolve::draw(scene, begun, user, channel),
    }
}

/// The dialog of a `block_actions` payload drawn anew, when the click was one that changes the dialog only.
///
/// # Errors
/// When a label or message is missing or lacks a variable.
pub fn changed(scene: &Scene<'_>, payload: &Value, user: &UserId) -> Result<Option<Value>, RenderFault> {
    let filled = state::Filled::of(payload);
    match filled.callback() {
        update::CALLBACK => update::changed(scene, payload, &filled, user).map(Some),
        _ => Ok(None),
    }
}

/// Reads a `view_submission` payload.
///
/// # Errors
/// What is wrong, by the `block_id` it is shown under.
pub fn read(payload: &Value) -> Result<Read, BTreeMap<String, Words>> {
    let filled = state::Filled::of(payload);
    match filled.callback() {
        start::CALLBACK => start::read(&filled),
        update::CALLBACK => update::read(&filled),
        resolve::CALLBACK => resolve::read(&filled),
        hand_over::CALLBACK => hand_over::read(&filled),
        other => Reason::of(other).map_or_else(|| Err(BTreeMap::new()), |asked| reason::read(asked, &filled)),
    }
}

/// The incident that the dialog of a payload belongs to.
pub fn incident_of(payload: &Value) -> Option<IncidentId> {
    state::Filled::of(payload).incident()
}
