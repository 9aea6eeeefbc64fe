//! A mirror that Vigie keeps of a repository, and how git is run in it: with an environment built from nothing, no hooks,
//! no prompts, nobody's configuration, and credentials in the environment only.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use super::Git;
use crate::actions::World;
use crate::actions::disk::said;
use crate::actions::process::{self, Deadline, Ended, Finished, Program};
use crate::actions::stopwatch::{Stopwatch, pause};
use crate::incident::words::Words;

/// Between two tries at a mirror that another step holds.
const AGAIN: Duration = Duration::from_millis(100);
/// How many lines of the other side are repeated.
const MOST_SAID: usize = 3;
/// What the newest state of the remote side is fetched as; `clone --mirror` would forbid pushing single branches.
const ALL: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// A file in every mirror of Vigie's, and in nobody else's repository.
const MARK: &str = "vigie-mirror";

/// How git and ssh say that there is no way in; they speak no other language here.
const NO_WAY_IN: [&str; 7] = [
    "Authentication failed",
    "Permission denied",
    "could not read Username",
    "could not read Password",
    "Host key verification failed",
    "does not appear to be a git repository",
    "not found",
];

/// The mirror, held by one piece of work with its deadline.
pub(super) struct Mirror<'a> {
    config: &'a Git,
    world: &'a World,
    watch: Stopwatch,
    within: Duration,
    /// Nobody else works in the folder while this is open.
    _held: File,
}

/// How a git command ended that did not do what it should.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// It was ended at its deadline, or by a signal.
    pub is_cut_off: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Refused {
    /// What the other side said about it, else why there is no way in, else the last thing that git said.
    pub(super) fn said(&self) -> String {
        let is_own = |line: &&str| !line.is_empty() && !line.contains("hook declined to update");
        let remote = self.stderr.lines().filter_map(|line| line.strip_prefix("remote: ")).map(str::trim);
        let remote: Vec<&str> = remote.filter(is_own).take(MOST_SAID).collect();
        if !remote.is_empty() {
            return remote.join("; ");
        }
        let lines = || self.stderr.lines().chain(self.stdout.lines()).map(str::trim);
        let no_way_in = lines().find(|line| NO_WAY_IN.iter().any(|sign| line.contains(sign)));
        no_way_in.or_else(|| lines().rfind(|line| !line.is_empty())).unwrap_or_default().to_owned()
    }

    /// It was not let in, or there is nothing at the address.
    pub(super) fn is_no_access(&self) -> bool {
        NO_WAY_IN.iter().any(|sign| self.stderr.contains(sign))
    }
}

impl<'a> Mirror<'a> {
    /// Takes the folder, makes the mirror where there is none, and fetches what is new.
    pub(super) async fn fetched(config: &'a Git, world: &'a World, within: Duration) -> Result<Self, Words> {
        let watch = Stopwatch::start();
        if !is_ours(&config.mirror) {
            return Err(Words::new("git.foreign_folder").with("path", config.mirror.display().to_string()));
        }
        let held = hold(&config.mirror, watch, within).await?;
        // Before git makes anything there: a mirror that was cut off in the making is still known as one.
        let mark = config.mirror.join(MARK);
        let marked = std::fs::create_dir_all(&config.mirror).and_then(|()| std::fs::write(&mark, ""));
        said(&mark, "file.not_written", marked)?;
        let mirror = Self { config, world, watch, within, _held: held };
        let folder = config.mirror.display().to_string();
        mirror.anywhere(&["init", "--quiet", "--bare", &folder]).await.map_err(|refused| mirror.unread(&refused))?;
        mirror.fetch().await?;
        Ok(mirror)
    }

    /// Fetches what is new.
    pub(super) async fn fetch(&self) -> Result<(), Words> {
        let mut arguments = vec!["fetch", "--quiet", "--prune", "--no-tags", &self.config.repository];
        arguments.extend(ALL);
        self.git(&arguments).await.map(|_| ()).map_err(|refused| self.unread(&refused))
    }

    fn unread(&self, refused: &Refused) -> Words {
        let key = if refused.is_no_access() { "git.no_access" } else { "git.unread" };
        let said = self.world.redactor.short(&refused.said(), 200);
        Words::new(key).with("repository", self.config.repository.as_str()).with("said", said)
    }

    pub(super) fn left(&self) -> Duration {
        self.watch.left_of(self.within)
    }

    /// Where work trees are made; nobody else makes one while this is held.
    pub(super) fn work(&self) -> PathBuf {
        beside(&self.config.mirror, "work")
    }

    /// Runs git in the mirror; what it printed, when it ended well.
    pub(super) async fn git(&self, arguments: &[&str]) -> Result<String, Refused> {
        self.run(arguments, Some(&self.config.mirror)).await
    }

    /// Runs git in the work tree.
    pub(super) async fn in_work(&self, arguments: &[&str]) -> Result<String, Refused> {
        self.run(arguments, Some(&self.work())).await
    }

    async fn anywhere(&self, arguments: &[&str]) -> Result<String, Refused> {
        self.run(arguments, None).await
    }

    async fn run(&self, arguments: &[&str], cwd: Option<&Path>) -> Result<String, Refused> {
        let argv: Vec<String> = std::iter::once("git").chain(arguments.iter().copied()).map(str::to_owned).collect();
        let deadline = Deadline::of_looking(self.left());
        let program = Program { argv: &argv, cwd, environment: self.environment(), deadline };
        let finished = process::run(&program, &self.world.redactor, &|_| {}).await.map_err(|fault| Refused {
            is_cut_off: false,
            stdout: String::new(),
            stderr: fault.to_string(),
        })?;
        let Finished { ended, stdout, stderr, .. } = finished;
        match ended {
            Ended::Exit(0) => Ok(stdout.text),
            Ended::Exit(_) => Err(Refused { is_cut_off: false, stdout: stdout.text, stderr: stderr.text }),
            Ended::Signal(_) | Ended::Deadline => {
                Err(Refused { is_cut_off: true, stdout: stdout.text, stderr: stderr.text })
            }
        }
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let (name, email) = self.config.author();
        let mut environment: BTreeMap<String, String> = [
            ("HOME", self.config.mirror.display().to_string()),
            ("LC_ALL", "C".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("GIT_OPTIONAL_LOCKS", "0".to_owned()),
            ("GIT_AUTHOR_NAME", name.clone()),
            ("GIT_AUTHOR_EMAIL", email.clone()),
            ("GIT_COMMITTER_NAME", name),
            ("GIT_COMMITTER_EMAIL", email),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        environment
            .extend(self.world.environment.get_key_value("PATH").map(|(name, path)| (name.clone(), path.clone())));
        let mut settings = [("core.hooksPath", "/dev/null"), ("gc.auto", "0"), ("core.quotePath", "false")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        if let Some(token) = self.config.access.as_ref().and_then(|access| access.token.as_ref()) {
            let basic = STANDARD.encode(format!("x-access-token:{}", token.expose_secret()));
            settings.push(("http.extraHeader".to_owned(), format!("Authorization: Basic {basic}")));
            // The header goes with every request; a repository that sends git elsewhere must not hand the token on.
            settings.push(("http.followRedirects".to_owned(), "false".to_owned()));
        }
        environment.insert("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string());
        for (number, (name, value)) in settings.into_iter().enumerate() {
            environment.insert(format!("GIT_CONFIG_KEY_{number}"), name);
            environment.insert(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        if let Some(command) = self.config.access.as_ref().and_then(super::Access::ssh_command) {
            environment.insert("GIT_SSH_COMMAND".to_owned(), command);
        }
        environment
    }
}

/// There is nothing yet, or a mirror that bears the mark. Somebody else's repository would lose what its origin does not
/// have.
fn is_ours(folder: &Path) -> bool {
    let is_empty = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    !folder.exists() || is_empty || folder.join(MARK).is_file()
}

/// A neighbour of the mirror: its lock, its work tree.
fn beside(mirror: &Path, what: &str) -> PathBuf {
    let mut name = mirror.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{what}"));
    mirror.with_file_name(name)
}

/// Waits until nobody else works in the folder.
async fn hold(mirror: &Path, watch: Stopwatch, within: Duration) -> Result<File, Words> {
    let path = beside(mirror, "lock");
    if let Some(folder) = mirror.parent() {
        said(&path, "file.not_written", std::fs::create_dir_all(folder))?;
    }
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = said(&path, "file.not_written", opened)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if !watch.left_of(within).is_zero() => pause(AGAIN).await,
            Err(TryLockError::WouldBlock) => {
                return Err(Words::new("git.mirror_held").with("path", mirror.display().to_string()));
            }
            Err(TryLockError::Error(error)) => return said(&path, "file.not_written", Err(error)),
        }
    }
}
