//! `reopen`: it is not over after all.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::state::Incident;
use crate::incident::timeline::Fact;
use crate::incident::words::{Refusal, Words};

/// It is not over after all.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Reopen {
    /// Why.
    #[command(flatten)]
    pub reason: Text,
}

impl Reopen {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        if incident.status.is_open() {
            return Err(Refusal::new("refusal.open_already").with("incident", incident.id.to_string()));
        }
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::Reopened { reason: self.reason.optional() }).notice();
        draft.invite_actor().refresh().refresh_pages();
        draft.reply(Words::new("reply.reopened").with("incident", incident.id.to_string()));
        Ok(draft.finish())
    }
}
