//! Why a page was not taken.

use std::time::Duration;

use crate::incident::words::Words;

/// Why a page was not taken, in the three kinds that the outbox acts on. The sentences name the provider
/// and never a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PagingFault {
    /// Nothing was sent; another attempt may work.
    #[error("{why}")]
    Retry {
        /// How long the provider asked to wait.
        after: Option<Duration>,
        /// What happened.
        why: Words,
    },
    /// Nothing was sent and no attempt will work until somebody changes something.
    #[error("{why}")]
    Permanent {
        /// What happened and what to change.
        why: Words,
    },
    /// The request went out and no answer came back: it may have been taken.
    #[error("{why}")]
    Unknown {
        /// What happened.
        why: Words,
    },
}

impl PagingFault {
    /// What happened, whichever it is.
    pub fn why(&self) -> &Words {
        match self {
            Self::Retry { why, .. } | Self::Permanent { why } | Self::Unknown { why } => why,
        }
    }

    pub(crate) fn retry(why: Words) -> Self {
        Self::Retry { after: None, why }
    }

    pub(crate) fn permanent(why: Words) -> Self {
        Self::Permanent { why }
    }

    pub(crate) fn unknown(why: Words) -> Self {
        Self::Unknown { why }
    }
}

/// What a provider said, fit for a timeline: one line, at most 300 characters.
pub(crate) fn said(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 300 {
        return line;
    }
    let mut short: String = line.chars().take(299).collect();
    short.push('…');
    short
}
