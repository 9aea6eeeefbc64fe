//! The dialogs that ask why: why a plan is rejected, which may be left out, and why a step is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Read;
use super::inputs::{Input, Memory, dialog};
use super::state::Filled;
use crate::incident::command::{Approve, Command, Line, Reject, Skip, Text};
use crate::incident::id::{ChannelId, RunId, UserId};
use crate::incident::words::Words;
use crate::render::RenderFault;
use crate::slack::cards::blocks::Part;
use crate::slack::cards::pen::Pen;
use crate::slack::scene::Scene;

/// What a reason is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Rejecting a plan; it may be left out.
    Reject,
    /// Leaving out a step.
    Skip,
    /// Approving while the window is closed.
    Override,
}

impl Reason {
    /// The one whose dialog is called so.
    pub(super) fn of(callback: &str) -> Option<Self> {
        [Reason::Reject, Reason::Skip, Reason::Override].into_iter().find(|reason| reason.callback() == callback)
    }

    const fn callback(self) -> &'static str {
        match self {
            Reason::Reject => "reject",
            Reason::Skip => "skip",
            Reason::Override => "override",
        }
    }

    fn command(self, run: RunId, reason: Text) -> Command {
        match self {
            Reason::Reject => Command::Reject(Reject { run, reason }),
            Reason::Skip => Command::Skip(Skip { run, reason }),
            Reason::Override => {
                Command::Approve(Approve { run, override_reason: Some(reason.text()), break_glass: None })
            }
        }
    }
}

/// The dialog about a run of the scene's incident.
///
/// # Errors
/// When a label is missing or lacks a variable.
pub fn reason(
    scene: &Scene<'_>,
    asked: Reason,
    run: RunId,
    user: &UserId,
    channel: Option<&ChannelId>,
) -> Result<Value, RenderFault> {
    let pen = Pen::for_user(scene, user);
    let known = scene.incident.and_then(|incident| incident.runs.get(&run));
    let title = known.map(|run| run.plan.as_ref().map_or(&run.action.title, |plan| &plan.title));
    let vars = json!({"run": run.to_string(), "title": title});
    let reason = Input::new("reason", pen.word(&format!("view.{}.reason", asked.callback()))?);
    let reason = if asked == Reason::Reject { reason.optional() } else { reason };
    let parts = vec![Part::Text(pen.say("view.reject.what", vars)?), reason.text(None, true)];
    let memory = Memory { incident: Some(run.incident), run: Some(run), channel };
    dialog(&pen, asked.callback(), &memory, parts)
}

pub(super) fn read(asked: Reason, filled: &Filled<'_>) -> Result<Read, BTreeMap<String, Words>> {
    let Some(run) = filled.run() else {
        return Err(BTreeMap::from([("reason".to_owned(), Words::new("refusal.no_plan"))]));
    };
    let reason = filled.text("reason").map(|reason| Text::of(&reason)).unwrap_or_default();
    Ok(Read {
        line: Line { command: asked.command(run, reason), incident: Some(run.incident) },
        channel: filled.channel(),
        block: "reason".to_owned(),
    })
}
