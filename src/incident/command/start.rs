//! `start`: declare an incident. The title may be anything; at three in the morning nothing is refused that can be kept.

use serde::{Deserialize, Serialize};

use super::Text;
use super::tokens::plain_word;
use crate::incident::decision::{Context, Decision, Effect};
use crate::incident::draft::Draft;
use crate::incident::rules::Rules;
use crate::incident::severity::Severity;
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::{Refusal, Words};

/// The longest title; the whole text is kept as the first note.
const TITLE_LENGTH: usize = 150;

/// Declare an incident: `start [severity] <what is wrong>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Start {
    /// The service concerned.
    #[arg(long, value_parser = plain_word)]
    pub service: Option<String>,
    /// An exercise: everything works, everything says so.
    #[arg(long)]
    pub drill: bool,
    /// The severity, when it is not the first word.
    #[arg(long, value_parser = plain_word)]
    pub severity: Option<String>,
    /// Severity and title.
    #[command(flatten)]
    pub text: Text,
}

impl Start {
    pub(super) fn is_bare(&self) -> bool {
        self.text.text().is_empty()
    }

    pub(super) fn decide(&self, context: Context<'_>) -> Result<Decision, Refusal> {
        let rules = context.rules;
        let (severity, whole) = self.severity_and_title(rules)?;
        if whole.is_empty() {
            return Err(Refusal::new("refusal.no_title"));
        }
        let title = shorten(&whole);
        let service = match &self.service {
            Some(word) => Some(rules.service(word).ok_or_else(|| unknown_service(rules, word))?),
            None => rules.service_in(&title),
        };
        let declared = Fact::Declared {
            id: context.fresh,
            title: title.clone(),
            severity: Box::new(severity.clone()),
            service: service.map(|service| service.key.clone()),
            drill: self.drill,
            locale: rules.locale.clone(),
            place: context.channel.cloned(),
        };
        // The first fact is a declaration by construction.
        let mut draft = Draft::declare(context, declared).map_err(|_| Refusal::new("refusal.no_title"))?;
        if title != whole {
            draft.fact(Fact::NoteAdded { text: whole });
        }
        draft.effect(Effect::OpenChannel).show(Card::Announcement).show(Card::Incident);
        draft.page_level(0, 0, false);
        draft.invite(context.by.person().cloned().into_iter().chain(rules.invite_always.iter().cloned()));
        draft.reply(Words::new("reply.declared").with("incident", context.fresh.to_string()).with("title", title));
        Ok(draft.finish())
    }

    fn severity_and_title<'r>(&self, rules: &'r Rules) -> Result<(&'r Severity, String), Refusal> {
        let text = self.text.text();
        if let Some(word) = &self.severity {
            let severity = rules.severity(word).ok_or_else(|| super::severity::unknown(rules, word))?;
            return Ok((severity, text));
        }
        let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text.as_str(), ""));
        if let Some(severity) = rules.severity(first) {
            return Ok((severity, rest.trim().to_owned()));
        }
        let severity = rules.severity(&rules.default_severity).or(rules.severities.first());
        severity.map(|severity| (severity, text.clone())).ok_or_else(|| Refusal::new("refusal.no_severities"))
    }
}

/// One line, at most [`TITLE_LENGTH`] characters.
fn shorten(whole: &str) -> String {
    let line = whole.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TITLE_LENGTH {
        return line;
    }
    let cut: String = line.chars().take(TITLE_LENGTH - 1).collect();
    format!("{}…", cut.trim_end())
}

pub(super) fn unknown_service(rules: &Rules, word: &str) -> Refusal {
    let known: Vec<serde_json::Value> = rules.services.keys().map(|key| key.as_str().into()).collect();
    Refusal::new("refusal.unknown_service").with("found", word).with("known", known)
}

pub(super) fn which_service(rules: &Rules) -> Refusal {
    let known: Vec<serde_json::Value> = rules.services.keys().map(|key| key.as_str().into()).collect();
    Refusal::new("refusal.which_service").with("known", known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_of_any_length_is_kept_and_shown_short() {
        let title = shorten(&"é🚒 ".repeat(20_000));
        assert!(title.chars().count() <= TITLE_LENGTH && title.ends_with('…'));
        assert_eq!(shorten(" one \n two "), "one two");
    }
}
