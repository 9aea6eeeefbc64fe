//! What is done to a branch: made in the mirror first, so that the plan knows exactly what will be pushed, and pushed with
//! the tag that keeps the state before, all or nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Git;
use super::mirror::{Mirror, Refused};
use crate::actions::World;
use crate::actions::provider::{ActionProvider as _, Happened, PlanFault, StepContext, StepResult, spec_of};
use crate::actions::stopwatch::{Stopwatch, pause};
use crate::incident::approval::{Choice, PlannedStep};
use crate::incident::words::Words;

/// How many commits are shown.
const MOST_COMMITS: &str = "-5";
/// How many files of a difference are named; the card shows as many as it has room for, and offers all of them.
const MOST_FILES: usize = 200;
/// Merges into the branch itself, and not those that came to it with another one.
const MERGES: &[&str] = &["--merges", "--first-parent"];
/// A push that lost its owner may end so long after it.
const HELD: Duration = Duration::from_secs(3);
/// How many commits a person chooses between.
const MOST_CHOICES: u32 = 10;

/// The approved facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spec {
    repository: String,
    branch: String,
    what: What,
    /// The branch's commit when the plan was made.
    head: String,
    /// It takes back what the configuration says.
    #[serde(default)]
    is_back: bool,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// This commit's changes are taken back; the tree afterwards.
    Revert { commit: String, mainline: Option<u32>, tree: String },
    /// The branch goes to this commit.
    Reset { to: String },
    /// Only the tag.
    Checkpoint,
}

pub(super) async fn plan(
    config: &Git,
    world: &World,
    within: Duration,
    wanted: Option<&str>,
) -> Result<PlannedStep, PlanFault> {
    let target = config.name();
    let mirror = fetched(config, world, within).await?;
    Planning { config, mirror: &mirror, target: &target }.step(wanted).await
}

/// The newest commits of the branch, of which one can be taken back.
pub(super) async fn choices(config: &Git, world: &World, within: Duration) -> Result<Vec<Choice>, PlanFault> {
    let mirror = fetched(config, world, within).await?;
    let unreadable = |why| PlanFault::Unreadable { target: config.name(), why };
    // Only a merge can be taken back on one of its sides.
    let merges = config.revert.as_ref().is_some_and(|revert| revert.mainline.is_some());
    let which: &[&str] = if merges { MERGES } else { &[] };
    let commits = listed(&mirror, &config.branch, MOST_CHOICES, which).await.map_err(unreadable)?;
    Ok(commits.into_iter().map(|(commit, line)| Choice { label: Words::verbatim(line), value: commit }).collect())
}

/// The step that takes a done one back.
pub(super) async fn plan_back(
    config: &Git,
    world: &World,
    within: Duration,
    done: &PlannedStep,
) -> Result<PlannedStep, PlanFault> {
    let spec: Spec = spec_of(done).map_err(PlanFault::NothingToGoBackTo)?;
    let target = config.name();
    let mirror = fetched(config, world, within).await?;
    Planning { config, mirror: &mirror, target: &target }.back(&spec).await
}

async fn fetched<'a>(config: &'a Git, world: &'a World, within: Duration) -> Result<Mirror<'a>, PlanFault> {
    let unreadable = |why| PlanFault::Unreadable { target: config.name(), why };
    Mirror::fetched(config, world, within).await.map_err(unreadable)
}

/// The newest commits of a branch: each by its whole name and for people, `3f2a1c9 Ana: Add a coupon`.
pub(super) async fn last_commits(
    mirror: &Mirror<'_>,
    branch: &str,
    count: u32,
) -> Result<Vec<(String, String)>, Words> {
    listed(mirror, branch, count, &[]).await
}

/// The same of those that these options let through.
async fn listed(mirror: &Mirror<'_>, branch: &str, count: u32, which: &[&str]) -> Result<Vec<(String, String)>, Words> {
    let head = format!("refs/heads/{branch}");
    if resolved(mirror, &head).await.is_none() {
        return Err(Words::new("git.no_branch").with("branch", branch));
    }
    let count = format!("-{count}");
    let arguments = [&["log", &count, "--format=%H %h %an: %s"][..], which, &[&head]].concat();
    let printed = mirror.git(&arguments).await;
    let printed = printed.map_err(|refused| Words::new("git.broke").with("said", refused.said()))?;
    let split = |line: &str| line.split_once(' ').map(|(commit, shown)| (commit.to_owned(), shown.to_owned()));
    Ok(printed.lines().filter_map(split).collect())
}

struct Planning<'a> {
    config: &'a Git,
    mirror: &'a Mirror<'a>,
    target: &'a str,
}

impl Planning<'_> {
    fn refused(&self, why: Words) -> PlanFault {
        PlanFault::Refused { target: self.target.to_owned(), why }
    }

    fn broke(&self, refused: &Refused) -> PlanFault {
        let why = Words::new("git.broke").with("said", refused.said());
        PlanFault::Unreadable { target: self.target.to_owned(), why }
    }

    async fn head(&self) -> Result<String, PlanFault> {
        let branch = self.config.branch.as_str();
        let head = resolved(self.mirror, &format!("refs/heads/{branch}")).await;
        head.ok_or_else(|| self.refused(Words::new("git.no_branch").with("branch", branch)))
    }

    async fn step(&self, wanted: Option<&str>) -> Result<PlannedStep, PlanFault> {
        let head = self.head().await?;
        let what = match (&self.config.revert, &self.config.reset) {
            (Some(revert), _) => {
                let commit = revert.commit.as_deref().filter(|commit| *commit != "newest").or(wanted);
                self.revert(&head, commit, revert.mainline).await?
            }
            (None, Some(reset)) => What::Reset { to: self.existing(&reset.to).await? },
            (None, None) => What::Checkpoint,
        };
        self.planned(head, what, false).await
    }

    /// A revert is reverted, wherever the branch is now; a branch that was reset goes back only while nobody has gone on
    /// from there.
    async fn back(&self, done: &Spec) -> Result<PlannedStep, PlanFault> {
        let head = self.head().await?;
        let what = match &done.what {
            What::Checkpoint => return Err(PlanFault::NothingToGoBackTo(Words::new("step.no_way_back"))),
            What::Reset { to } if *to == head => What::Reset { to: self.existing(&done.head).await? },
            What::Reset { .. } => return Err(self.refused(moved(self.mirror, done, Some(&head)).await)),
            What::Revert { tree, .. } => {
                let commit = self.pushed_on(&done.head, tree, &head).await?;
                self.revert(&head, Some(&commit), None).await?
            }
        };
        self.planned(head, what, true).await
    }

    /// Our own commit of a revert: the one upon the former head that makes the planned tree.
    async fn pushed_on(&self, former: &str, tree: &str, head: &str) -> Result<String, PlanFault> {
        let range = format!("{former}..{head}");
        let printed = self.mirror.git(&["log", "--format=%H %T %P", &range]).await;
        let printed = printed.map_err(|refused| self.broke(&refused))?;
        let ours = printed.lines().find_map(|line| line.strip_suffix(&format!(" {tree} {former}")));
        let none =
            || PlanFault::NothingToGoBackTo(Words::new("git.not_pushed").with("branch", self.config.branch.as_str()));
        ours.map(str::to_owned).ok_or_else(none)
    }

    async fn planned(&self, head: String, what: What, is_back: bool) -> Result<PlannedStep, PlanFault> {
        let config = self.config;
        let branch = config.branch.as_str();
        let now = self.shown(&head).await?;
        let (to, title) = match &what {
            What::Revert { commit, .. } => {
                let commit = self.shown(commit).await?;
                (format!("{now} − {commit}"), Words::new("git.title_revert").with("commit", commit))
            }
            What::Reset { to } if *to == head => {
                return Err(PlanFault::AlreadyThere { target: self.target.to_owned(), to: now });
            }
            What::Reset { to } => {
                let shown = self.shown(to).await?;
                (shown.clone(), Words::new("git.title_reset").with("to", shown))
            }
            What::Checkpoint => (now.clone(), Words::new("git.title_checkpoint").with("at", now.as_str())),
        };
        let spec = Spec { repository: config.repository.clone(), branch: config.branch.clone(), what, head, is_back };
        Ok(PlannedStep {
            title: title.with("branch", branch),
            target: self.target.to_owned(),
            locks: config.locks(),
            from: Some(now),
            to,
            diff: self.lines(&spec).await?,
            needs: Vec::new(),
            risk: config.usual_risk(),
            provider: String::new(),
            configured_at: None,
            always: false,
            after: Vec::new(),
            spec: serde_json::to_value(&spec).unwrap_or_default(),
        })
    }

    /// A commit for people: `3f2a1c9 “Add a coupon”`.
    async fn shown(&self, commit: &str) -> Result<String, PlanFault> {
        shown(self.mirror, commit).await.map_err(|refused| self.broke(&refused))
    }

    async fn existing(&self, name: &str) -> Result<String, PlanFault> {
        let found = resolved(self.mirror, name).await;
        found.ok_or_else(|| self.refused(Words::new("git.no_commit").with("commit", name)))
    }

    async fn revert(&self, head: &str, commit: Option<&str>, mainline: Option<u32>) -> Result<What, PlanFault> {
        let commit = match (commit, mainline) {
            (Some(commit), _) => self.existing(commit).await?,
            (None, Some(_)) => self.newest_merge(head).await?,
            (None, None) => head.to_owned(),
        };
        if self.mirror.git(&["merge-base", "--is-ancestor", &commit, head]).await.is_err() {
            return Err(self.refused(Words::new("git.not_there").with("commit", commit.as_str())));
        }
        let parents = self.mirror.git(&["rev-list", "--parents", "-n", "1", &commit]).await;
        let parents = parents.map_err(|refused| self.broke(&refused))?.split_whitespace().count().saturating_sub(1);
        let shown = self.shown(&commit).await?;
        match (parents, mainline) {
            (0 | 1, Some(_)) => return Err(self.refused(Words::new("git.no_merge").with("commit", shown))),
            (2.., None) => return Err(self.refused(Words::new("git.is_merge").with("commit", shown))),
            _ => {}
        }
        let tree = reverted(self.mirror, head, &commit, mainline).await.map_err(|why| self.refused(why))?;
        let before = resolved_tree(self.mirror, head).await;
        if before.as_deref() == Some(&tree) {
            return Err(PlanFault::AlreadyThere { target: self.target.to_owned(), to: format!("− {shown}") });
        }
        Ok(What::Revert { commit, mainline, tree })
    }

    /// The newest merge into the branch itself; the newest commit where there is none, which is refused by its name.
    async fn newest_merge(&self, head: &str) -> Result<String, PlanFault> {
        let arguments = [&["rev-list", "-n", "1"][..], MERGES, &[head]].concat();
        let found = self.mirror.git(&arguments).await.map_err(|refused| self.broke(&refused))?;
        Ok(Some(found.trim()).filter(|found| !found.is_empty()).unwrap_or(head).to_owned())
    }

    /// How many files a revert changes, and which, one a line: `src/cart.rs +3 −12`.
    async fn files(&self, head: &str, tree: &str) -> Result<Vec<Words>, PlanFault> {
        let diff = async |how: &str| self.mirror.git(&["diff", how, "--no-renames", head, tree]).await;
        let (printed, sum) = (diff("--numstat").await, diff("--shortstat").await);
        let (printed, sum) = printed.and_then(|printed| Ok((printed, sum?))).map_err(|refused| self.broke(&refused))?;
        let files: Vec<&str> = printed.lines().filter(|line| !line.is_empty()).take(MOST_FILES).collect();
        // Git counts all of them, however little is kept of what it prints: ` 40 files changed, 3 insertions(+)`.
        let count = sum.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(files.len());
        let mut lines = vec![Words::new("git.files").with("count", count)];
        lines.extend(files.iter().map(|line| Words::verbatim(file_line(line))));
        if let Some(more) = count.checked_sub(files.len()).filter(|more| *more > 0) {
            lines.push(Words::new("git.more_files").with("count", more));
        }
        Ok(lines)
    }

    async fn lines(&self, spec: &Spec) -> Result<Vec<Words>, PlanFault> {
        let Self { mirror, .. } = *self;
        let printed = async |arguments: &[&str]| mirror.git(arguments).await.map_err(|refused| self.broke(&refused));
        let verbatim = |text: String| -> Vec<Words> {
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Words::verbatim).collect()
        };
        let mut lines = Vec::new();
        if !matches!(spec.what, What::Checkpoint) || self.config.checkpoint.is_some() {
            lines.push(Words::new("git.tag_first").with("tag", "vigie/before-…"));
        }
        match &spec.what {
            What::Revert { tree, .. } => lines.extend(self.files(&spec.head, tree).await?),
            What::Reset { to } => {
                let range = format!("{to}..{}", spec.head);
                let gone = printed(&["rev-list", "--count", &range]).await?;
                lines.push(Words::new("git.go_away").with("count", gone.trim().parse::<i64>().unwrap_or_default()));
                lines.extend(verbatim(printed(&["log", MOST_COMMITS, "--format=%h %an: %s", &range]).await?));
                return Ok(lines);
            }
            What::Checkpoint => {}
        }
        lines.push(Words::new("git.last_commits"));
        lines.extend(verbatim(printed(&["log", MOST_COMMITS, "--format=%h %an: %s", &spec.head]).await?));
        Ok(lines)
    }
}

/// One line of `--numstat`, with the file first; `-` stands in it for a file that has no lines.
fn file_line(line: &str) -> String {
    match line.splitn(3, '\t').collect::<Vec<_>>().as_slice() {
        ["-", "-", file] => (*file).to_owned(),
        [added, removed, file] => format!("{file} +{added} −{removed}"),
        _ => line.to_owned(),
    }
}

async fn resolved(mirror: &Mirror<'_>, name: &str) -> Option<String> {
    let found =
        mirror.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]).await;
    found.ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

async fn resolved_tree(mirror: &Mirror<'_>, commit: &str) -> Option<String> {
    let found = mirror.git(&["rev-parse", "--verify", "--quiet", &format!("{commit}^{{tree}}")]).await;
    found.ok().map(|text| text.trim().to_owned())
}

async fn shown(mirror: &Mirror<'_>, commit: &str) -> Result<String, Refused> {
    let printed = mirror.git(&["log", "-1", "--format=%h “%s”", commit]).await?;
    Ok(printed.trim().chars().take(90).collect())
}

/// The tree of the branch without a commit's changes, made in a work tree of its own that is gone afterwards.
async fn reverted(mirror: &Mirror<'_>, head: &str, commit: &str, mainline: Option<u32>) -> Result<String, Words> {
    let broke = |refused: Refused| Words::new("git.broke").with("said", refused.said());
    let work = mirror.work().display().to_string();
    tidy(mirror, &work).await;
    mirror.git(&["worktree", "add", "--quiet", "--force", "--detach", &work, head]).await.map_err(broke)?;
    let made = reverted_in_work(mirror, commit, mainline).await;
    tidy(mirror, &work).await;
    made
}

async fn reverted_in_work(mirror: &Mirror<'_>, commit: &str, mainline: Option<u32>) -> Result<String, Words> {
    let broke = |refused: Refused| Words::new("git.broke").with("said", refused.said());
    let mainline = mainline.map(|number| number.to_string());
    let mut arguments = vec!["revert", "--no-commit"];
    if let Some(number) = &mainline {
        arguments.extend(["--mainline", number]);
    }
    arguments.push(commit);
    if let Err(refused) = mirror.in_work(&arguments).await {
        let files = mirror.in_work(&["diff", "--name-only", "--diff-filter=U"]).await.unwrap_or_default();
        let files: Vec<&str> = files.lines().collect();
        return Err(if files.is_empty() { broke(refused) } else { Words::new("git.conflict").with("files", files) });
    }
    Ok(mirror.in_work(&["write-tree"]).await.map_err(broke)?.trim().to_owned())
}

/// What a work that was cut off left behind is taken away, too.
async fn tidy(mirror: &Mirror<'_>, work: &str) {
    for arguments in [&["worktree", "remove", "--force", "--force", work][..], &["worktree", "prune"]] {
        if let Err(refused) = mirror.git(arguments).await {
            tracing::debug!(said = refused.said(), "there was no work tree to take away");
        }
    }
}

/// The approved facts, if today's configuration still means the same.
pub(super) fn is_meant_by(spec: &Spec, config: &Git) -> bool {
    let same_what = match &spec.what {
        What::Revert { mainline, .. } => config.revert.as_ref().is_some_and(|wanted| wanted.mainline == *mainline),
        What::Reset { .. } => config.reset.is_some(),
        What::Checkpoint => config.checkpoint.is_some(),
    };
    (same_what || spec.is_back) && spec.repository == config.repository && spec.branch == config.branch
}

fn tag(cx: &StepContext<'_>) -> String {
    format!("vigie/before-{}", cx.idempotency_key())
}

/// The line of a commit's message that tells whose it is.
fn trailer(cx: &StepContext<'_>) -> String {
    format!("Vigie-Run: {}", cx.idempotency_key())
}

/// Makes it again on the same commit, and pushes it with the tag.
pub(super) async fn execute(config: &Git, spec: &Spec, cx: &StepContext<'_>) -> StepResult {
    let mirror = match Mirror::fetched(config, cx.world, cx.within).await {
        Ok(mirror) => mirror,
        Err(why) => return StepResult::unchanged(why),
    };
    let branch = format!("refs/heads/{}", spec.branch);
    let now = resolved(&mirror, &branch).await;
    if now.as_deref() != Some(&spec.head) {
        return StepResult::stale(moved(&mirror, spec, now.as_deref()).await);
    }
    let new = match made(&mirror, spec, cx).await {
        Ok(new) => new,
        Err(why) => return StepResult::unchanged(why),
    };
    let tag = tag(cx);
    let mut refs = vec![format!("{}:refs/tags/{tag}", spec.head)];
    if let Some(new) = &new {
        // No plus before it: that would push whatever the lease says. A lease that holds lets a branch go back, too.
        refs.push(format!("{new}:{branch}"));
    }
    let lease = format!("--force-with-lease={branch}:{}", spec.head);
    let mut arguments = vec!["push", "--porcelain", "--atomic", &lease, &config.repository];
    arguments.extend(refs.iter().map(String::as_str));
    if let Err(refused) = mirror.git(&arguments).await {
        return not_pushed(&mirror, spec, &refused).await;
    }
    let at = new.as_deref().unwrap_or(&spec.head);
    let at = shown(&mirror, at).await.unwrap_or_else(|_| at.to_owned());
    let note = Words::new("git.pushed").with("branch", spec.branch.as_str()).with("at", at.as_str());
    StepResult::Done { note: note.with("tag", tag), output: None, live: Some(at) }
}

/// The commit that the branch goes to; nothing where only the tag is set.
async fn made(mirror: &Mirror<'_>, spec: &Spec, cx: &StepContext<'_>) -> Result<Option<String>, Words> {
    let broke = |refused: Refused| Words::new("git.broke").with("said", refused.said());
    match &spec.what {
        What::Checkpoint => Ok(None),
        What::Reset { to } => Ok(Some(to.clone())),
        What::Revert { commit, mainline, tree } => {
            let again = reverted(mirror, &spec.head, commit, *mainline).await?;
            if again != *tree {
                return Err(Words::new("git.other_tree"));
            }
            let subject = mirror.git(&["log", "-1", "--format=%s", commit]).await.map_err(broke)?;
            let message = format!("Revert \"{}\"\n\nThis reverts commit {commit}.\n\n{}", subject.trim(), trailer(cx));
            let new = mirror.git(&["commit-tree", tree, "-p", &spec.head, "-m", &message]).await.map_err(broke)?;
            Ok(Some(new.trim().to_owned()))
        }
    }
}

async fn moved(mirror: &Mirror<'_>, spec: &Spec, now: Option<&str>) -> Words {
    let Some(now) = now else { return Words::new("git.no_branch").with("branch", spec.branch.as_str()) };
    let at = shown(mirror, now).await.unwrap_or_else(|_| now.to_owned());
    Words::new("git.moved").with("branch", spec.branch.as_str()).with("at", at)
}

/// What the other side's no means. Its words are the same everywhere, for git speaks no language here.
async fn not_pushed(mirror: &Mirror<'_>, spec: &Spec, refused: &Refused) -> StepResult {
    let no = refused.stdout.lines().find(|line| line.starts_with('!') && !line.contains("atomic"));
    let no = no.or_else(|| refused.stdout.lines().find(|line| line.starts_with('!')));
    match no {
        Some(line) if ["stale info", "fetch first", "non-fast-forward"].iter().any(|sign| line.contains(sign)) => {
            let now = match mirror.fetch().await {
                Ok(()) => resolved(mirror, &format!("refs/heads/{}", spec.branch)).await,
                Err(_) => None,
            };
            StepResult::stale(moved(mirror, spec, now.as_deref()).await)
        }
        Some(line) => {
            let reason = line.rsplit_once('(').map_or(line, |(_, reason)| reason.trim_end_matches(')'));
            let said = [reason.to_owned(), refused.said()].join(": ");
            StepResult::unchanged(Words::new("git.protected").with("branch", spec.branch.as_str()).with("said", said))
        }
        None if !refused.is_cut_off && refused.is_no_access() => {
            let words = Words::new("git.no_access").with("repository", spec.repository.as_str());
            StepResult::unchanged(words.with("said", refused.said()))
        }
        None => StepResult::unknown(Words::new("git.broke").with("said", refused.said())),
    }
}

/// Whether it was pushed. A push is all or nothing, so where the branch still leads over the old commit without ours, it
/// certainly was not.
pub(super) async fn check(config: &Git, spec: &Spec, cx: &StepContext<'_>) -> Happened {
    let watch = Stopwatch::start();
    let mirror = match Mirror::fetched(config, cx.world, cx.within).await {
        Ok(mirror) => mirror,
        Err(why) => return Happened::CannotTell { why },
    };
    let patience = HELD.min(cx.within);
    loop {
        let tagged = resolved(&mirror, &format!("refs/tags/{}", tag(cx))).await;
        let now = resolved(&mirror, &format!("refs/heads/{}", spec.branch)).await;
        let at = match &now {
            Some(now) => shown(&mirror, now).await.unwrap_or_else(|_| now.clone()),
            None => String::new(),
        };
        let says = |key| Words::new(key).with("branch", spec.branch.as_str()).with("at", at.as_str());
        // The tag went with the change or not at all, and bears our name.
        if tagged.as_deref() == Some(&spec.head) {
            return Happened::Yes { note: says("git.pushed").with("tag", tag(cx)), live: Some(at) };
        }
        let Some(now) = now else { return Happened::CannotTell { why: says("git.no_branch") } };
        if mirror.git(&["merge-base", "--is-ancestor", &spec.head, &now]).await.is_err() {
            return Happened::CannotTell { why: says("git.moved") };
        }
        if watch.left_of(patience).is_zero() {
            return Happened::No { note: says("git.not_pushed") };
        }
        pause(patience / 5).await;
        if let Err(why) = mirror.fetch().await {
            return Happened::CannotTell { why };
        }
    }
}
