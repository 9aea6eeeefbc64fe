//! `note`: a line for the record.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::state::Incident;
use crate::incident::timeline::Fact;
use crate::incident::words::{Refusal, Words};

/// Add a line to the timeline.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Note {
    /// The line.
    #[command(flatten)]
    pub text: Text,
}

impl Note {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let text = self.text.optional().ok_or_else(|| Refusal::new("refusal.empty_note"))?;
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::NoteAdded { text });
        draft.reply(Words::new("reply.noted").with("incident", incident.id.to_string()));
        Ok(draft.finish())
    }
}
