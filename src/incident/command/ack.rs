//! `ack`: somebody is on it; the climb ends.

use serde::{Deserialize, Serialize};

use super::must_be_open;
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::state::Incident;
use crate::incident::timeline::Fact;
use crate::incident::words::{Refusal, Words};

/// Answer the page and stop the climb.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Ack {}

impl Ack {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        if context.by.person().is_some_and(|user| incident.acknowledged_by.contains(user)) {
            return Err(Refusal::new("refusal.already_acknowledged"));
        }
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::Acknowledged);
        if incident.acknowledged.is_none() {
            draft.notice();
        }
        draft.invite_actor().refresh().refresh_pages();
        draft.reply(Words::new("reply.acknowledged").with("incident", incident.id.to_string()));
        Ok(draft.finish())
    }
}
