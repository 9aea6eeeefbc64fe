//! `files`: share what was kept of the state before a run (K15).

use serde::{Deserialize, Serialize};

use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::id::RunId;
use crate::incident::run;
use crate::incident::state::Incident;
use crate::incident::timeline::Card;
use crate::incident::words::{Refusal, Words};

/// Share what was kept of the state before a run.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Files {
    /// The run.
    pub run: RunId,
}

impl Files {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let state = run::find(incident, self.run)?;
        let files = state.kept.as_ref().map(|kept| kept.files.as_slice()).unwrap_or_default();
        if files.is_empty() {
            return Err(Refusal::new("refusal.nothing_kept").with("run", self.run.to_string()));
        }
        if incident.usable_channel().is_none() {
            return Err(Refusal::new("refusal.no_channel_for_files").with("run", self.run.to_string()));
        }
        let mut draft = Draft::of(context, incident);
        let cards = files.iter().map(|file| Card::Kept(self.run, file.sha256.clone()));
        let new: Vec<Card> = cards.filter(|card| !incident.cards.contains_key(card)).collect();
        let words = Words::new("reply.files").with("run", self.run.to_string()).with("files", new.len());
        for card in new {
            draft.show(card);
        }
        draft.reply(words);
        Ok(draft.finish())
    }
}
