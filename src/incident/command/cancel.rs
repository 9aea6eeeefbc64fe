//! `cancel`: it was no incident.

use serde::{Deserialize, Serialize};

use super::{Text, must_be_open};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::state::Incident;
use crate::incident::timeline::Fact;
use crate::incident::words::{Refusal, Words};

/// It was no incident.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Cancel {
    /// Why.
    #[command(flatten)]
    pub reason: Text,
}

impl Cancel {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        super::resolve::nothing_may_run(incident)?;
        let mut draft = Draft::of(context, incident);
        draft.end(Fact::Cancelled { reason: self.reason.optional() });
        draft.refresh().refresh_pages();
        draft.reply(Words::new("reply.cancelled").with("incident", incident.id.to_string()));
        Ok(draft.finish())
    }
}
