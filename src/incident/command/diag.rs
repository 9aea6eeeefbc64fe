//! `diag`: run a service's checks side by side (H7). Reads only, so nobody need approve.

use serde::{Deserialize, Serialize};

use crate::incident::decision::{Context, Decision, Effect};
use crate::incident::draft::Draft;
use crate::incident::rules::Service;
use crate::incident::state::Incident;
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::Refusal;

/// Run the service's checks.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Diag {
    /// The service; the incident's own when left out.
    pub service: Option<String>,
}

impl Diag {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let service = service(context, incident, self.service.as_deref())?;
        if service.checks.is_empty() {
            return Err(Refusal::new("refusal.no_checks").with("service", service.title.as_str()));
        }
        let running =
            incident.diagnostics.values().any(|round| round.results.is_none() && round.service == service.key);
        if running {
            return Err(Refusal::new("refusal.diagnosing").with("service", service.title.as_str()));
        }
        let mut draft = Draft::of(context, incident);
        let diagnostic = draft.next_diagnostic();
        draft.fact(Fact::DiagnosticStarted { diagnostic, service: service.key.clone() });
        draft.effect(Effect::Diagnose { diagnostic, service: service.key.clone() });
        draft.show(Card::Diagnostic(diagnostic));
        Ok(draft.finish())
    }
}

/// The service meant: the one named, the incident's own, or the only one.
fn service<'r>(context: Context<'r>, incident: &Incident, word: Option<&str>) -> Result<&'r Service, Refusal> {
    let rules = context.rules;
    if let Some(word) = word {
        return rules.service(word).ok_or_else(|| super::start::unknown_service(rules, word));
    }
    let own = incident.service.as_deref().and_then(|key| rules.services.get(key));
    let only = || {
        if rules.services.len() == 1 { rules.services.values().next() } else { None }
    };
    own.or_else(only).ok_or_else(|| super::start::which_service(rules))
}
