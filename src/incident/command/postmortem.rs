//! `postmortem`: compile the timeline into the document (PM1).

use serde::{Deserialize, Serialize};

use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::state::Incident;
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::{Refusal, Words};

/// Compile the post-mortem.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Postmortem {}

impl Postmortem {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        if incident.channel.as_ref().is_some_and(|channel| channel.lost.is_some()) {
            return Err(Refusal::new("refusal.no_channel_left").with("incident", incident.id.to_string()));
        }
        let number = incident.postmortems + 1;
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::PostMortemCompiled { number }).show(Card::PostMortem(number));
        draft.reply(Words::new("reply.postmortem").with("incident", incident.id.to_string()));
        Ok(draft.finish())
    }
}
