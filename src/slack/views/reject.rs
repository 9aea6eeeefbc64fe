//! The dialog that asks why a plan is rejected; the reason may be left out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Read;
use super::inputs::{Input, Memory, dialog};
use super::state::Filled;
use crate::incident::command::{Command, Line, Reject, Text};
use crate::incident::id::{ChannelId, RunId, UserId};
use crate::incident::words::Words;
use crate::render::RenderFault;
use crate::slack::cards::blocks::Part;
use crate::slack::cards::pen::Pen;
use crate::slack::scene::Scene;

pub(super) const CALLBACK: &str = "reject";

/// The dialog for the plan of `run`, which belongs to the scene's incident.
///
/// # Errors
/// When a label is missing or lacks a variable.
pub fn reject(scene: &Scene<'_>, run: RunId, user: &UserId, channel: Option<&ChannelId>) -> Result<Value, RenderFault> {
    let pen = Pen::for_user(scene, user);
    let known = scene.incident.and_then(|incident| incident.runs.get(&run));
    let title = known.map(|run| run.plan.as_ref().map_or(&run.action.title, |plan| &plan.title));
    let vars = json!({"run": run.to_string(), "title": title});
    let reason = Input::new("reason", pen.word("view.reject.reason")?).optional();
    let parts = vec![Part::Text(pen.say("view.reject.what", vars)?), reason.text(None, true)];
    let memory = Memory { incident: Some(run.incident), run: Some(run), channel };
    dialog(&pen, CALLBACK, &memory, parts)
}

pub(super) fn read(filled: &Filled<'_>) -> Result<Read, BTreeMap<String, Words>> {
    let Some(run) = filled.run() else {
        return Err(BTreeMap::from([("reason".to_owned(), Words::new("refusal.no_plan"))]));
    };
    let reason = filled.text("reason").map(|reason| Text::of(&reason)).unwrap_or_default();
    Ok(Read {
        line: Line { command: Command::Reject(Reject { run, reason }), incident: Some(run.incident) },
        channel: filled.channel(),
        block: "reason".to_owned(),
    })
}
