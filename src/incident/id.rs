//! Names of things that people can read, say and type: `inc_7`, `run_7_2`.
//!
//! An incident's number comes from the store; everything inside an incident is numbered by the incident's own
//! counters, so that the core needs neither randomness nor a database to name things.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A name that does not have the form it should have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{found}” is not a name of the form {form}")]
pub struct BadId {
    /// What was given.
    pub found: String,
    /// An example of the right form.
    pub form: &'static str,
}

macro_rules! as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// An incident: `inc_7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub i64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inc_{}", self.0)
    }
}

impl FromStr for IncidentId {
    type Err = BadId;
    /// Takes `inc_7` and, because people type it so, `INC-7` and `7`.
    fn from_str(text: &str) -> Result<Self, BadId> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.strip_prefix("inc_").or_else(|| lower.strip_prefix("inc-")).unwrap_or(&lower);
        let number = digits.parse::<i64>().ok().filter(|n| *n > 0);
        number.map(Self).ok_or_else(|| BadId { found: text.to_owned(), form: "inc_7" })
    }
}
as_text!(IncidentId);

macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The incident it belongs to.
            pub incident: IncidentId,
            /// Its number within the incident, from 1.
            pub number: u32,
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}_{}"), self.incident.0, self.number)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                let bad = || BadId { found: text.to_owned(), form: concat!($prefix, "_7_1") };
                let rest = text.strip_prefix(concat!($prefix, "_")).ok_or_else(bad)?;
                let (incident, number) = rest.split_once('_').ok_or_else(bad)?;
                Ok(Self {
                    incident: IncidentId(incident.parse().map_err(|_| bad())?),
                    number: number.parse().map_err(|_| bad())?,
                })
            }
        }
        as_text!($name);
    };
}

numbered_id!(
    /// One attempt to reach one person in one way: `page_7_3`.
    PageId, "page"
);
numbered_id!(
    /// A runbook action asked for in an incident, from plan to outcome: `run_7_1`.
    RunId, "run"
);
numbered_id!(
    /// A status update with its internal and customer text: `upd_7_1`.
    UpdateId, "upd"
);
numbered_id!(
    /// One round of diagnostics: `diag_7_1`.
    DiagnosticId, "diag"
);

macro_rules! slack_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

slack_id!(
    /// A person's Slack id (`U…` or `W…`).
    UserId
);
slack_id!(
    /// A Slack conversation's id (`C…`, `G…`, `D…`).
    ChannelId
);

/// Where a message stands in Slack: conversation and `ts`, which together name it for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// The conversation.
    pub channel: ChannelId,
    /// Slack's `ts` of the message, unique within the conversation.
    pub ts: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_is_printed() {
        let run = RunId { incident: IncidentId(7), number: 2 };
        assert_eq!(run.to_string(), "run_7_2");
        assert_eq!("run_7_2".parse(), Ok(run));
        assert_eq!("INC-7".parse(), Ok(IncidentId(7)));
    }

    #[test]
    fn a_malformed_name_is_named_in_the_refusal() {
        for text in ["run_7", "run_x_1", "upd_7_1", "", "run__"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
        assert!("-3".parse::<IncidentId>().is_err());
        assert_eq!("seven".parse::<IncidentId>().unwrap_err().to_string(), "“seven” is not a name of the form inc_7");
    }
}
