//! Why a command that needs an incident has none, said with the way out. Nobody is guessed for: where several are open,
//! the person says which.

use serde_json::Value;

use super::id::IncidentId;
use super::words::Refusal;

/// Why there is no incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// The one that was named does not exist.
    Unknown(IncidentId),
    /// Nothing says which, and none is open.
    NoneOpen,
    /// Nothing says which, and several are open: each with its title, worst first.
    Several(Vec<(IncidentId, String)>),
}

impl Absent {
    /// The sentence for whoever asked.
    pub fn refusal(&self) -> Refusal {
        match self {
            Absent::Unknown(id) => Refusal::new("refusal.unknown_incident").with("incident", id.to_string()),
            Absent::NoneOpen => Refusal::new("refusal.no_incident"),
            Absent::Several(open) => {
                let named: Vec<Value> = open.iter().map(|(id, title)| format!("{id} ({title})").into()).collect();
                Refusal::new("refusal.which_incident").with("open", open.len()).with("incidents", named)
            }
        }
    }
}
