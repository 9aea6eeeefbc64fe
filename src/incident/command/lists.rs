//! `status`, `list`, `timeline`, `details`, `plan`, `help`: answers that only the person who asked sees.

use serde::{Deserialize, Serialize};

use crate::incident::decision::{Context, Decision, Effect, Sheet};
use crate::incident::id::{DiagnosticId, RunId};
use crate::incident::run;
use crate::incident::state::Incident;
use crate::incident::words::Refusal;

/// Show how the incident stands.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Status {}

/// List open incidents.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct List {}

/// Show the timeline.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Timeline {}

/// Show what the checks of a diagnostic saw, line by line.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Details {
    /// The round of diagnostics.
    pub diagnostic: DiagnosticId,
}

/// Show the whole plan of a run: every step with all that it changes.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Plan {
    /// The run.
    pub run: RunId,
}

/// Explain the commands.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Help {
    /// One command.
    #[arg(value_name = "command")]
    pub topic: Option<String>,
}

impl Status {
    pub(super) fn decide(&self, context: Context<'_>) -> Decision {
        answer(context, Sheet::Status)
    }
}

impl List {
    pub(super) fn decide(&self, context: Context<'_>) -> Decision {
        answer(context, Sheet::List)
    }
}

impl Timeline {
    pub(super) fn decide(&self, context: Context<'_>) -> Decision {
        answer(context, Sheet::Timeline)
    }
}

impl Details {
    pub(super) fn decide(&self, context: Context<'_>) -> Decision {
        answer(context, Sheet::Details { diagnostic: self.diagnostic })
    }
}

impl Plan {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        if run::find(incident, self.run)?.plan.is_none() {
            return Err(Refusal::new("refusal.no_plan"));
        }
        Ok(answer(context, Sheet::Plan { run: self.run }))
    }
}

impl Help {
    pub(super) fn decide(&self, context: Context<'_>) -> Decision {
        answer(context, Sheet::Help { topic: self.topic.clone() })
    }
}

fn answer(context: Context<'_>, sheet: Sheet) -> Decision {
    Decision { facts: Vec::new(), effects: vec![Effect::ReplyWith { to: context.reply.clone(), sheet }] }
}
