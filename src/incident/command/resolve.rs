//! `resolve`: it is over.

use serde::{Deserialize, Serialize};

use super::tokens::plain_word;
use super::{Text, must_be_open};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::state::{Incident, Run};
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::{Refusal, Words};

/// The incident is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Resolve {
    /// What it did to users.
    #[arg(long, value_name = "text", value_parser = plain_word)]
    pub impact: Option<String>,
    /// The root cause, as far as it is known.
    #[arg(long, value_name = "text", value_parser = plain_word)]
    pub cause: Option<String>,
    /// How it was resolved.
    #[command(flatten)]
    pub summary: Text,
}

impl Resolve {
    pub(super) fn is_bare(&self) -> bool {
        self.summary.text().is_empty()
    }

    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        nothing_may_run(incident)?;
        let summary = self.summary.optional().ok_or_else(|| Refusal::new("refusal.no_summary"))?;
        let mut draft = Draft::of(context, incident);
        draft.end(Fact::Resolved { summary, impact: self.impact.clone(), cause: self.cause.clone() });
        draft.invite_actor().refresh().refresh_pages();
        let left: Vec<serde_json::Value> =
            incident.runs.values().flat_map(Run::items_left).map(|item| item.text.as_str().into()).collect();
        draft.reply(Words::new("reply.resolved").with("incident", incident.id.to_string()).with("items_left", left));
        Ok(draft.finish())
    }
}

impl Draft<'_> {
    /// The incident ends: whatever still asks for something asks no more.
    pub(super) fn end(&mut self, fact: Fact) {
        let asking = self.incident.asking_reminders();
        self.fact(fact).notice();
        for reminder in asking {
            self.show(Card::Reminder(reminder));
        }
        self.refresh_runs();
    }
}

/// Nothing may be changing the world when an incident ends.
pub(super) fn nothing_may_run(incident: &Incident) -> Result<(), Refusal> {
    match incident.runs.values().find(|run| run.holds_targets()) {
        Some(run) => Err(Refusal::new("refusal.run_under_way")
            .with("run", run.id.to_string())
            .with("title", run.action.title.as_str())),
        None => Ok(()),
    }
}
