//! How bad it is and what follows from that: who is paged when, how often people are told (field procedures E1, E2, M7).
//!
//! A [`Severity`] with its [`EscalationPolicy`] is stamped into an incident when it is declared: editing the
//! configuration later does not change a running incident.

use serde::{Deserialize, Serialize};

use super::people::Contact;
use super::time::Millis;

/// One severity of the team's own scale (E1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Severity {
    /// The word typed in commands: `sev2`, `niveau3`.
    pub key: String,
    /// The words shown: `SEV2`, `Niveau 3`.
    pub label: String,
    /// 1 is the worst, whatever the team's own numbers say.
    pub rank: u8,
    /// Other words that mean it: `critical`, `p1`.
    pub aliases: Vec<String>,
    /// When to choose it, in the team's words.
    pub criteria: String,
    /// How long until somebody must have answered.
    pub respond_within: Millis,
    /// How often people are told how it stands; `None` for no reminder.
    pub update_every: Option<Millis>,
    /// How long after a missed reminder the next person in charge is told.
    pub update_grace: Millis,
    /// A post-mortem is obligatory.
    pub postmortem_required: bool,
    /// Link of the crisis call (E7).
    pub call_link: Option<String>,
    /// Who is paged, in which order.
    pub policy: EscalationPolicy,
    /// Keys of the actions whose plans are offered as soon as the channel is open.
    #[serde(default)]
    pub propose: Vec<String>,
}

/// Who is paged, level by level, until somebody answers (E2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationPolicy {
    /// Its name in the configuration.
    pub name: String,
    /// The levels, climbed in order; never empty.
    pub levels: Vec<EscalationLevel>,
    /// How many times the whole ladder is climbed again after the last level stayed silent.
    pub repeat: u32,
    /// Who is told when every round stayed silent.
    pub fallback: Vec<Contact>,
}

/// One step of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationLevel {
    /// Everybody paged at this level, together.
    pub contacts: Vec<Contact>,
    /// How long they have before the next level is paged.
    pub wait: Millis,
}
