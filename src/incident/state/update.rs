//! A status update as part of an incident: who wrote it, who has to read it first, where it arrived.

use serde::{Deserialize, Serialize};

use super::Mark;
use crate::incident::id::UpdateId;
use crate::incident::time::Instant;
use crate::incident::words::Words;

/// The customer text's way to its readers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerText {
    /// Waits for a second pair of eyes.
    Pending,
    /// May go out, and goes.
    Approved {
        /// By whom.
        mark: Mark,
    },
    /// Must not go out.
    Rejected {
        /// By whom.
        mark: Mark,
        /// Why.
        reason: Option<String>,
    },
}

/// A status update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// Its name.
    pub id: UpdateId,
    /// Who wrote it, and when.
    pub written: Mark,
    /// For the team.
    pub internal: Option<String>,
    /// For customers.
    pub customer: Option<String>,
    /// Where the customer text is.
    pub customer_state: Option<CustomerText>,
    /// When the next one was promised for.
    pub next_at: Option<Instant>,
    /// Where it arrived.
    pub delivered: Vec<Arrival>,
    /// Where it did not.
    pub failed: Vec<Miss>,
}

impl StatusUpdate {
    /// It arrived at a destination; of a list it may arrive in several goes.
    pub(super) fn arrived(&mut self, customer: bool, destination: &str, remote_id: Option<&String>) {
        let known = self.delivered.iter().any(|one| one.customer == customer && one.destination == destination);
        if !known {
            let (destination, remote_id) = (destination.to_owned(), remote_id.cloned());
            self.delivered.push(Arrival { customer, destination, remote_id });
        }
    }
}

/// A text that reached a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// It was the text for customers.
    pub customer: bool,
    /// `<audience>/<destination>`.
    pub destination: String,
    /// The destination's own id of what it shows, for later texts to change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
}

/// A text that did not reach a destination, or an address of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// It was the text for customers.
    pub customer: bool,
    /// `<audience>/<destination>`, with the address in brackets where it has several.
    pub destination: String,
    /// Why.
    pub why: Words,
}
