//! `role`: take or give a role (E6).

use serde::{Deserialize, Serialize};

use super::{Who, must_be_open};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::people::Role;
use crate::incident::state::Incident;
use crate::incident::timeline::Fact;
use crate::incident::words::{Refusal, Words};

/// Take or give a role: `role commander`, `role comms @someone`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct RoleCommand {
    /// commander, operations, communications or scribe.
    pub role: String,
    /// Whom; yourself when left out.
    pub person: Option<Who>,
}

impl RoleCommand {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        let role: Role = self.role.parse().map_err(|()| {
            let known: Vec<serde_json::Value> = Role::ALL.iter().map(|role| role.word().into()).collect();
            Refusal::new("refusal.unknown_role").with("found", self.role.as_str()).with("known", known)
        })?;
        let user = self.person.clone().unwrap_or(Who::Me).user(context)?;
        if incident.roles.get(&role) == Some(&user) {
            return Err(Refusal::new("refusal.role_held").with("role", role.word()).with("user", user.0));
        }
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::RoleAssigned { role, user: user.clone() }).notice();
        draft.invite([user.clone()]).refresh();
        draft.reply(Words::new("reply.role").with("role", role.word()).with("user", user.0));
        Ok(draft.finish())
    }
}
