//! `ack`: somebody is on it; the climb ends.

use serde::{Deserialize, Serialize};

use super::must_be_open;
use crate::incident::decision::{Context, Decision};
use crate::incident::state::Incident;
use crate::incident::timeline::Fact;
use crate::incident::words::{Refusal, Words};

/// Answer the page and stop the climb.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Ack {}

impl Ack {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        if let Some(user) = context.by.person()
            && incident.acknowledged_by.contains(user)
        {
            return Err(Refusal::new("refusal.already_acknowledged"));
        }
        let mut decision = Decision::none();
        decision.fact(Fact::Acknowledged);
        decision.join_channel(context, incident);
        decision.refresh(context, incident);
        decision.refresh_pages(incident);
        if incident.acknowledged.is_none() {
            decision.notice(incident);
        }
        decision.reply(context, Words::new("reply.acknowledged").with("incident", incident.id.to_string()));
        Ok(decision)
    }
}
