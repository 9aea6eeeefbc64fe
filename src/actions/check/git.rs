//! The newest commits of a branch (G1): what was changed last is what is asked for first.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Check, Seen, millis};
use crate::actions::World;
use crate::actions::config::{ConfigFault, fault};
use crate::actions::git::{Access, Git};
use crate::actions::provider::ActionProvider as _;
use crate::actions::stopwatch::Stopwatch;
use crate::incident::approval::Verdict;
use crate::incident::words::Words;

/// A branch whose newest commits are shown.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitCheck {
    /// Where the repository is, as in the step `git`.
    pub repository: String,
    /// The folder that Vigie keeps of it; the same as that of steps with this repository.
    pub mirror: PathBuf,
    /// The branch.
    pub branch: String,
    /// How Vigie is let in.
    pub access: Option<Access>,
    /// How many commits are shown; 3 when it is not said.
    pub last: Option<u32>,
}

impl GitCheck {
    /// Only where it is.
    pub(in crate::actions) fn place(&self) -> Git {
        Git::place(&self.repository, &self.mirror, &self.branch, self.access.as_ref())
    }
}

#[async_trait]
impl Check for GitCheck {
    fn default_title(&self) -> String {
        format!("{} ({})", self.branch, self.repository)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.access.iter().filter_map(|access| access.token.as_ref()).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        self.place().validate(path, faults);
        if self.last.is_some_and(|last| !(1..=10).contains(&last)) {
            faults.push(fault(format!("{path}.last"), "write a number from 1 to 10"));
        }
    }

    async fn look(&self, world: &World, within: Duration) -> Seen {
        let watch = Stopwatch::start();
        match self.place().last_commits(world, within, self.last.unwrap_or(3)).await {
            Ok(commits) => Seen::new(Verdict::Pass, Words::verbatim(commits.join(" · "))),
            // git was ended at the deadline, before it could say anything.
            Err(_) if watch.left_of(within).is_zero() => {
                Seen::hung(Words::new("look.no_answer").with("within_ms", millis(within).0))
            }
            Err(why) => Seen::fail(why),
        }
    }
}
