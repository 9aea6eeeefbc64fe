//! `rollback` and `run`: ask for the plan of a runbook action. Nothing is changed before it is approved.

use serde::{Deserialize, Serialize};

use super::must_be_open;
use super::tokens::plain_word;
use crate::incident::approval::{Choosing, PlanRequest};
use crate::incident::decision::{Context, Decision, Effect, Sheet};
use crate::incident::draft::Draft;
use crate::incident::rules::RunbookAction;
use crate::incident::state::Incident;
use crate::incident::words::{Refusal, Words};

/// Plan a rollback; the only one there is when none is named, else a choice.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Rollback {
    /// The action's key, or the service's.
    pub action: Option<String>,
    /// Where to go, for an action that leaves it open.
    #[arg(long, value_parser = plain_word, value_name = "text")]
    #[serde(default)]
    pub to: Option<String>,
}

/// Plan any runbook action; a choice when none is named.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct RunAction {
    /// The action's key.
    pub action: Option<String>,
    /// Where to go, for an action that leaves it open.
    #[arg(long, value_parser = plain_word, value_name = "text")]
    #[serde(default)]
    pub to: Option<String>,
}

impl Rollback {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        if let Some(action) = self.action.as_deref().and_then(|key| context.rules.actions.get(key)) {
            return ask(context, incident, action, self.to.as_ref());
        }
        let service = match &self.action {
            Some(word) => Some(&context.rules.service(word).ok_or_else(|| unknown(context, word, true))?.key),
            None => incident.service.as_ref(),
        };
        let rollbacks = context.rules.actions.values().filter(|action| action.is_rollback);
        let of_service: Vec<_> =
            rollbacks.clone().filter(|action| service.is_some() && action.service.as_ref() == service).collect();
        let offered = if of_service.is_empty() { rollbacks.collect() } else { of_service };
        match offered.as_slice() {
            [] => Err(Refusal::new("refusal.no_rollback")),
            [only] => ask(context, incident, only, self.to.as_ref()),
            _ => Ok(choose(context, true)),
        }
    }
}

impl RunAction {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        match &self.action {
            None if context.rules.actions.is_empty() => Err(Refusal::new("refusal.no_actions")),
            None => Ok(choose(context, false)),
            Some(key) => {
                let action = context.rules.actions.get(key).ok_or_else(|| unknown(context, key, false))?;
                ask(context, incident, action, self.to.as_ref())
            }
        }
    }
}

fn ask(
    context: Context<'_>,
    incident: &Incident,
    action: &RunbookAction,
    to: Option<&String>,
) -> Result<Decision, Refusal> {
    match (action.choosing, to) {
        (Choosing::Nothing, Some(_)) => {
            return Err(Refusal::new("refusal.nothing_to_choose").with("title", action.title.as_str()));
        }
        (Choosing::Must, None) => {
            let offer = Effect::Offer { action: action.key.clone(), to: context.reply.clone() };
            return Ok(Decision { facts: Vec::new(), effects: vec![offer] });
        }
        _ => {}
    }
    let mut draft = Draft::of(context, incident);
    let run = draft.ask_plan(action, PlanRequest { to: to.cloned(), ..PlanRequest::default() })?;
    draft.invite_actor();
    draft.reply(Words::new("reply.planning").with("title", action.title.as_str()).with("run", run.to_string()));
    Ok(draft.finish())
}

fn choose(context: Context<'_>, rollbacks: bool) -> Decision {
    let sheet = Sheet::Actions { rollbacks };
    Decision { facts: Vec::new(), effects: vec![Effect::ReplyWith { to: context.reply.clone(), sheet }] }
}

fn unknown(context: Context<'_>, found: &str, rollbacks: bool) -> Refusal {
    let offered = context.rules.actions.values().filter(|action| action.is_rollback || !rollbacks);
    let known: Vec<serde_json::Value> = offered.map(|action| action.key.as_str().into()).collect();
    Refusal::new("refusal.unknown_action").with("found", found).with("known", known)
}
