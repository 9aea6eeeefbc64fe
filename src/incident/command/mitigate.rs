//! `mitigate`: users are no longer affected; the cause may still be there.

use serde::{Deserialize, Serialize};

use super::{Text, must_be_open};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::state::{Incident, Status};
use crate::incident::timeline::Fact;
use crate::incident::words::{Refusal, Words};

/// Users are no longer affected.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Mitigate {
    /// What was done.
    #[command(flatten)]
    pub text: Text,
}

impl Mitigate {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        if incident.status == Status::Mitigated {
            return Err(Refusal::new("refusal.mitigated_already"));
        }
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::Mitigated { text: self.text.optional() }).notice();
        draft.invite_actor().refresh().refresh_pages();
        draft.reply(Words::new("reply.mitigated").with("incident", incident.id.to_string()));
        Ok(draft.finish())
    }
}
