//! Git: a commit's changes are taken back on a branch, a branch goes back, a state gets a tag (G1).
//!
//! What this provider may not do: rewrite a branch that is shared, push without a tag that keeps the state before, run a
//! hook or obey a setting of a repository or of this machine, or put a credential into an argument list.

mod change;
mod mirror;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;

use self::change::Spec;
use super::World;
use super::config::{ConfigFault, fault};
use super::provider::{
    ActionProvider, Happened, PlanContext, PlanFault, StepContext, StepResult, reconfigured, spec_of,
};
use crate::incident::approval::{Choice, Choosing, PlannedStep, Risk};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// A change to one branch of a repository: exactly one of revert, reset and checkpoint.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// Where it is: `https://`, `ssh://`, or a whole path. No credentials in it.
    pub repository: String,
    /// A folder that Vigie keeps; made and fetched when Vigie starts, and fetched again whenever it is needed.
    pub mirror: PathBuf,
    /// The branch.
    pub branch: String,
    /// Others work on the branch, so it is never reset; true when it is not said.
    #[serde(default = "yes")]
    pub shared: bool,
    /// Who commits, as `Name <address>`.
    pub author: Option<String>,
    /// How Vigie is let in.
    pub access: Option<Access>,
    /// What it can do to the world; destructive for a reset, else reversible, when it is not said.
    pub risk: Option<Risk>,
    /// Takes a commit's changes back by a new commit.
    pub revert: Option<Revert>,
    /// Takes the branch to another commit.
    pub reset: Option<Reset>,
    /// Only sets a tag.
    pub checkpoint: Option<Checkpoint>,
}

const fn yes() -> bool {
    true
}

/// How Vigie is let in: by a token or by a key.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// A token that may push, for `https://`.
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// The file of a private key, for `ssh://`.
    pub ssh_key: Option<PathBuf>,
    /// The file with the other side's public keys.
    pub known_hosts: Option<PathBuf>,
}

/// Which commit's changes are taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// `newest`, or the commit; when it is not said, the one that a person chooses, else the newest.
    pub commit: Option<String>,
    /// Only for a merge: which of its sides stays, 1 being the branch that was merged into. The newest is then the newest merge.
    pub mainline: Option<u32>,
}

/// Where a branch goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// A tag or a commit.
    pub to: String,
}

/// Nothing but the tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {}

impl Access {
    /// How ssh is called: with this key only, and never with a question.
    fn ssh_command(&self) -> Option<String> {
        let key = self.ssh_key.as_ref()?;
        let quoted = |path: &PathBuf| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
        let known = self.known_hosts.as_ref().map(|path| format!(" -o UserKnownHostsFile={}", quoted(path)));
        let options = "-F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes";
        Some(format!("ssh {options} -i {}{}", quoted(key), known.unwrap_or_default()))
    }
}

#[async_trait]
impl ActionProvider for Git {
    fn target(&self) -> Cow<'_, str> {
        self.name().into()
    }

    fn locks(&self) -> Vec<String> {
        vec![format!("git/{}/{}", self.repository, self.branch)]
    }

    fn risk(&self) -> Risk {
        self.usual_risk()
    }

    fn usually_within(&self) -> Millis {
        Millis::minutes(3)
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.access.iter().filter_map(|access| access.token.as_ref()).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        let chosen = [self.revert.is_some(), self.reset.is_some(), self.checkpoint.is_some()];
        if chosen.iter().filter(|chosen| **chosen).count() != 1 {
            faults.push(fault(path, "say what is done in exactly one way: revert, reset or checkpoint"));
        }
        if self.reset.is_some() && self.shared {
            let sentence = "a branch that others work on is never reset; use revert, or say shared: false";
            faults.push(fault(format!("{path}.reset"), sentence));
        }
        let is_fit =
            ["https://", "http://", "ssh://", "git://", "/"].iter().any(|start| self.repository.starts_with(start));
        if !is_fit || self.repository.chars().any(char::is_whitespace) {
            let sentence = "write an address that begins with https:// or ssh://, or a whole path";
            faults.push(fault(format!("{path}.repository"), sentence));
        }
        if url::Url::parse(&self.repository)
            .is_ok_and(|url| url.password().is_some() || (url.scheme() != "ssh" && !url.username().is_empty()))
        {
            faults.push(fault(format!("{path}.repository"), "credentials do not belong into an address; use access"));
        }
        if self.access.as_ref().is_some_and(|access| access.token.is_some()) && goes_in_the_clear(&self.repository) {
            let sentence = "everybody on the way could read the token; write an address that begins with https://";
            faults.push(fault(format!("{path}.access.token"), sentence));
        }
        if self.mirror.is_relative() {
            faults.push(fault(format!("{path}.mirror"), "write the whole path, beginning with /"));
        }
        let names = [
            ("branch", Some(&self.branch)),
            ("reset.to", self.reset.as_ref().map(|reset| &reset.to)),
            ("revert.commit", self.revert.as_ref().and_then(|revert| revert.commit.as_ref())),
        ];
        for (name, _) in names.into_iter().filter(|(_, name)| name.is_some_and(|name| !is_name(name))) {
            faults.push(fault(format!("{path}.{name}"), "this is no name that git knows; write for example main"));
        }
        if self.revert.as_ref().is_some_and(|revert| revert.mainline == Some(0)) {
            faults.push(fault(format!("{path}.revert.mainline"), "sides are counted from 1"));
        }
    }

    fn choosing(&self) -> Choosing {
        let is_open = self.revert.as_ref().is_some_and(|revert| revert.commit.is_none());
        if is_open { Choosing::May } else { Choosing::Nothing }
    }

    async fn choices(&self, cx: &PlanContext<'_>) -> Result<Vec<Choice>, PlanFault> {
        change::choices(self, cx.world, planning(cx)).await
    }

    async fn plan(&self, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        change::plan(self, cx.world, planning(cx), cx.wanted).await
    }

    async fn plan_back(&self, done: &PlannedStep, cx: &PlanContext<'_>) -> Result<PlannedStep, PlanFault> {
        change::plan_back(self, cx.world, planning(cx), done).await
    }

    async fn execute(&self, step: &PlannedStep, cx: &StepContext<'_>) -> StepResult {
        match self.approved(step) {
            Ok(spec) => change::execute(self, &spec, cx).await,
            Err(found) => StepResult::stale(found),
        }
    }

    async fn check(&self, step: &PlannedStep, cx: &StepContext<'_>) -> Happened {
        match self.approved(step) {
            Ok(spec) => change::check(self, &spec, cx).await,
            Err(why) => Happened::CannotTell { why },
        }
    }
}

/// Not all of the time: what takes too long is to be named, and not only the planning.
fn planning(cx: &PlanContext<'_>) -> Duration {
    cx.within * 3 / 4
}

/// Whether what is said there can be read on the way; nobody is on the way within one machine.
fn goes_in_the_clear(repository: &str) -> bool {
    let Ok(url) = url::Url::parse(repository) else { return false };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    matches!(url.scheme(), "http" | "git") && !is_here
}

impl Git {
    /// Makes the mirror where there is none, and fetches what is new.
    pub(super) async fn fetch(&self, world: &World, within: Duration) -> Result<(), Words> {
        mirror::Mirror::fetched(self, world, within).await.map(|_| ())
    }

    /// The newest commits of the branch, for people.
    pub(super) async fn last_commits(&self, world: &World, within: Duration, count: u32) -> Result<Vec<String>, Words> {
        let mirror = mirror::Mirror::fetched(self, world, within).await?;
        let commits = change::last_commits(&mirror, &self.branch, count).await?;
        Ok(commits.into_iter().map(|(_, line)| line).collect())
    }

    /// Only the settings that say where the branch is.
    pub(super) fn place(repository: &str, mirror: &Path, branch: &str, access: Option<&Access>) -> Self {
        Self {
            repository: repository.to_owned(),
            mirror: mirror.to_path_buf(),
            branch: branch.to_owned(),
            shared: true,
            author: None,
            access: access.cloned(),
            risk: None,
            revert: None,
            reset: None,
            checkpoint: Some(Checkpoint {}),
        }
    }

    fn name(&self) -> String {
        format!("{} ({})", self.branch, self.repository)
    }

    fn usual_risk(&self) -> Risk {
        self.risk.unwrap_or(if self.reset.is_some() { Risk::Destructive } else { Risk::Reversible })
    }

    /// The committer's name and address.
    fn author(&self) -> (String, String) {
        let own = self.author.as_deref().and_then(|author| author.split_once('<'));
        match own {
            Some((name, address)) => (name.trim().to_owned(), address.trim_end().trim_end_matches('>').to_owned()),
            None => ("Vigie".to_owned(), "vigie@localhost".to_owned()),
        }
    }

    /// The approved facts, if today's configuration still means the same.
    fn approved(&self, step: &PlannedStep) -> Result<Spec, Words> {
        let spec: Spec = spec_of(step)?;
        if step.locks == self.locks() && change::is_meant_by(&spec, self) { Ok(spec) } else { Err(reconfigured()) }
    }
}

/// A branch, a tag or a commit, and nothing that git would read as an option or a range.
fn is_name(text: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    !text.is_empty() && text.chars().all(is_fit) && !text.starts_with(['-', '/', '.']) && !text.contains("..")
}
