//! Runs programs: an argument list, never a shell; a clean environment; a deadline that ends the whole process
//! group; output that is drained to the end but kept only in part.
//!
//! A program that calls `setsid` leaves the group and outlives its deadline; only a container or a control group
//! can hold it.

mod count;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

pub use count::{Counted, LineCount};
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use regex::Regex;
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::signal::unix::SignalKind;

use super::redact::{Redactor, leaves_open};
use super::stopwatch::{Stopwatch, TooLate, within};
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// How long a program may take to end after it was asked to (SIGTERM), before it is ended (SIGKILL).
pub const GRACE: Duration = Duration::from_secs(5);

/// How much of each stream is kept, from its end.
pub const KEPT_BYTES: usize = 64 * 1024;

/// How long output is still read after the program and its group are gone: somebody who left the group may hold the
/// pipe open for ever.
const LEFTOVERS: Duration = Duration::from_millis(500);

/// Told about a program's newest line now and then.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// The program and its arguments.
    pub argv: &'a [String],
    /// Where it runs; Vigie's own directory when it is not said.
    pub cwd: Option<&'a Path>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// When it must have ended.
    pub deadline: Deadline,
}

/// When a program must have ended.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// When it is asked to end (SIGTERM).
    pub within: Duration,
    /// How long it has then, before it is ended (SIGKILL).
    pub grace: Duration,
}

impl Deadline {
    /// For programs that change something and may have to tidy up.
    pub const fn of(within: Duration) -> Self {
        Self { within, grace: GRACE }
    }

    /// For programs that only look: nobody waits for their last words.
    pub const fn of_looking(within: Duration) -> Self {
        Self { within, grace: Duration::from_millis(300) }
    }
}

/// The program could not be started at all.
#[derive(Debug, thiserror::Error)]
#[error("“{program}” could not be started{place}: {source}")]
pub struct NotStarted {
    /// The program's name.
    pub program: String,
    place: String,
    source: std::io::Error,
}

impl NotStarted {
    /// The sentence for people.
    pub(super) fn words(&self) -> Words {
        let words = Words::new("step.not_started").with("program", self.program.as_str());
        words.with("why", crate::reason::of_io(&self.source))
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal that did not come from here.
    Signal(i32),
    /// It was ended because its deadline had passed.
    Deadline,
}

/// A program that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// The end of its standard output.
    pub stdout: Tail,
    /// The end of its standard error.
    pub stderr: Tail,
    /// How long it ran.
    pub took: Millis,
}

/// The end of a stream: complete lines, redacted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The last lines.
    pub text: String,
    /// How many bytes before them were read and thrown away.
    pub left_out: u64,
}

impl Tail {
    /// The last line that is not empty.
    pub fn last_line(&self) -> Option<&str> {
        self.text.lines().rev().map(str::trim).find(|line| !line.is_empty())
    }
}

impl Finished {
    /// The last thing it said: on standard error when it failed, else on standard output.
    pub fn last_line(&self) -> Option<&str> {
        let (first, second) =
            if self.ended == Ended::Exit(0) { (&self.stdout, &self.stderr) } else { (&self.stderr, &self.stdout) };
        first.last_line().or_else(|| second.last_line())
    }

    /// The last lines of both streams for people, at most about so many bytes; `None` when it said nothing.
    pub fn output(&self, most: usize) -> Option<String> {
        let half = most / 2;
        let (out, err) = (last_lines(&self.stdout, most - half), last_lines(&self.stderr, half));
        match (out.is_empty(), err.is_empty()) {
            (true, true) => None,
            (false, true) => Some(last_lines(&self.stdout, most)),
            (true, false) => Some(last_lines(&self.stderr, most)),
            (false, false) => Some(format!("{out}\n--- standard error ---\n{err}")),
        }
    }
}

/// As many whole lines from the end as fit.
fn last_lines(tail: &Tail, most: usize) -> String {
    let text = tail.text.trim_end();
    let mut from = text.len();
    for (at, _) in text.rmatch_indices('\n').chain(std::iter::once((0, ""))) {
        if text.len() - at > most {
            break;
        }
        from = at;
    }
    let kept = text.get(from..).unwrap_or("").trim_start_matches('\n');
    let left_out = tail.left_out + (text.len() - kept.len()) as u64;
    match (left_out, kept.is_empty()) {
        (0, _) => kept.to_owned(),
        (_, true) => format!("[{left_out} bytes left out]"),
        (_, false) => format!("[{left_out} bytes left out]\n{kept}"),
    }
}

/// Runs a program to its end or to its deadline. When the returned future is dropped, the whole group is killed.
///
/// # Errors
/// [`NotStarted`] when there is no such program or directory, or it may not be run.
pub async fn run(program: &Program<'_>, redactor: &Redactor, progress: Progress<'_>) -> Result<Finished, NotStarted> {
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let (ended, took) = run_into(program, redactor, progress, (&mut stdout, &mut stderr)).await?;
    Ok(Finished { ended, stdout: stdout.finish(redactor), stderr: stderr.finish(redactor), took })
}

/// [`run`], and its whole standard output as it was printed, for a parser: what is redacted has no shape any more. Nothing
/// where it was too long to be kept whole.
///
/// # Errors
/// As [`run`].
pub(super) async fn run_for_parser(
    program: &Program<'_>,
    redactor: &Redactor,
) -> Result<(Finished, Option<SecretString>), NotStarted> {
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let (ended, took) = run_into(program, redactor, &|_| {}, (&mut stdout, &mut stderr)).await?;
    let is_whole = stdout.left_out == 0 && !stdout.in_line;
    let printed = is_whole.then(|| SecretString::from(String::from_utf8_lossy(&stdout.bytes).into_owned()));
    Ok((Finished { ended, stdout: stdout.finish(redactor), stderr: stderr.finish(redactor), took }, printed))
}

/// [`run`], and how many lines of both streams match, however much of them is thrown away.
///
/// # Errors
/// As [`run`].
pub async fn run_counting(
    program: &Program<'_>,
    redactor: &Redactor,
    pattern: &Regex,
) -> Result<(Finished, Counted), NotStarted> {
    let counting = || Kept { count: Some(LineCount::of(pattern.clone())), ..Kept::default() };
    let (mut stdout, mut stderr) = (counting(), counting());
    let (ended, took) = run_into(program, redactor, &|_| {}, (&mut stdout, &mut stderr)).await?;
    let counted = stdout.counted().and(stderr.counted());
    let finished = Finished { ended, stdout: stdout.finish(redactor), stderr: stderr.finish(redactor), took };
    Ok((finished, Counted { newest: counted.newest.map(|line| redactor.lines(&line, false)), ..counted }))
}

async fn run_into(
    program: &Program<'_>,
    redactor: &Redactor,
    progress: Progress<'_>,
    (stdout, stderr): (&mut Kept, &mut Kept),
) -> Result<(Ended, Millis), NotStarted> {
    let watch = Stopwatch::start();
    let mut group = Group::start(program)?;
    let (out_pipe, err_pipe) = (group.child.stdout().take(), group.child.stderr().take());

    let ended = {
        let draining = async {
            tokio::join!(stdout.drain(out_pipe, redactor, progress), stderr.drain(err_pipe, redactor, progress))
        };
        let ending = group.end(program.deadline);
        tokio::pin!(draining, ending);
        let mut drained = false;
        let ended = loop {
            tokio::select! {
                ended = &mut ending => break ended,
                _ = &mut draining, if !drained => drained = true,
            }
        };
        if !drained && within(LEFTOVERS, &mut draining).await.is_err() {
            tracing::debug!("somebody outside the process group still holds the program's output open");
        }
        ended
    };
    Ok((ended, watch.took()))
}

/// A process group that does not outlive its owner.
struct Group {
    child: Box<dyn ChildWrapper>,
    over: bool,
}

impl Group {
    fn start(program: &Program<'_>) -> Result<Self, NotStarted> {
        let not_started = |source| NotStarted {
            program: program.argv.first().cloned().unwrap_or_default(),
            place: program.cwd.map(|cwd| format!(" in {}", cwd.display())).unwrap_or_default(),
            source,
        };
        let Some((name, arguments)) = program.argv.split_first() else {
            return Err(not_started(std::io::Error::other("the argument list is empty")));
        };
        let mut command = CommandWrap::with_new(name, |command| {
            command.args(arguments).env_clear().envs(&program.environment);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            if let Some(cwd) = program.cwd {
                command.current_dir(cwd);
            }
        });
        command.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
        let child = command.spawn().map_err(not_started)?;
        Ok(Self { child, over: false })
    }

    /// The end of the program, at the latest when the deadline and the grace have passed; then nobody of the group
    /// is left.
    async fn end(&mut self, deadline: Deadline) -> Ended {
        let ended = match within(deadline.within, self.leader()).await {
            Ok(status) => status.map_or(Ended::Deadline, ended),
            Err(_) => {
                self.ask_to_end();
                if within(deadline.grace, self.leader()).await.is_err() {
                    self.kill();
                    if within(deadline.grace, self.leader()).await.is_err() {
                        tracing::warn!("a program does not even end when it is killed");
                    }
                }
                Ended::Deadline
            }
        };
        self.kill();
        self.over = true;
        // Reaps children of the group that became ours; only happens when Vigie is the container's first process.
        if within(LEFTOVERS, self.child.wait()).await.is_err() {
            tracing::debug!("the process group is not reaped yet");
        }
        ended
    }

    /// Waits for the program itself, not for its children: they may live as long as they like.
    async fn leader(&mut self) -> Option<ExitStatus> {
        let status = self.child.inner_mut().wait().await;
        status.inspect_err(|fault| tracing::warn!(%fault, "a program could not be waited for")).ok()
    }

    fn ask_to_end(&self) {
        if let Err(fault) = self.child.signal(SignalKind::terminate().as_raw_value()) {
            tracing::debug!(%fault, "the program could not be asked to end");
        }
    }

    fn kill(&mut self) {
        // An error means that nobody is left in the group.
        if let Err(fault) = self.child.start_kill() {
            tracing::trace!(%fault, "nobody is left in the process group");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.over {
            self.kill();
        }
    }
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

/// The raw end of a stream while it is read. Lines are kept whole, because half a secret cannot be recognised.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    left_out: u64,
    /// What is kept begins inside a PEM block.
    in_block: bool,
    /// What is kept begins in the middle of a line that was too long.
    in_line: bool,
    /// Counts lines as they pass by.
    count: Option<LineCount>,
}

impl Kept {
    async fn drain(&mut self, pipe: Option<impl AsyncRead + Unpin>, redactor: &Redactor, progress: Progress<'_>) {
        let Some(mut pipe) = pipe else { return };
        let mut buffer = vec![0; 64 * 1024];
        let mut told: Option<Stopwatch> = None;
        let mut is_news = false;
        loop {
            let pace = told.map_or(Duration::ZERO, |told| told.left_of(PROGRESS_EVERY));
            if is_news && pace.is_zero() {
                self.tell(redactor, progress);
                (told, is_news) = (Some(Stopwatch::start()), false);
            }
            let read = pipe.read(&mut buffer);
            // What was printed last is told in its time, however long the program then says nothing.
            let read = if is_news { within(pace, read).await } else { Ok(read.await) };
            match read {
                Err(TooLate) => {}
                Ok(Ok(0)) => return,
                Ok(Ok(read)) => {
                    self.take(buffer.get(..read).unwrap_or_default());
                    is_news = true;
                }
                Ok(Err(fault)) => {
                    tracing::debug!(%fault, "a program's output ended early");
                    return;
                }
            }
        }
    }

    fn counted(&mut self) -> Counted {
        self.count.take().map(LineCount::finish).unwrap_or_default()
    }

    fn take(&mut self, bytes: &[u8]) {
        if let Some(count) = &mut self.count {
            count.take(bytes);
        }
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() <= 2 * KEPT_BYTES {
            return;
        }
        let earliest = self.bytes.len() - KEPT_BYTES;
        let line_end = self.bytes.iter().skip(earliest).position(|byte| *byte == b'\n');
        let cut = line_end.map_or(earliest, |at| earliest + at + 1);
        let gone = String::from_utf8_lossy(self.bytes.get(..cut).unwrap_or_default());
        self.in_block = leaves_open(&gone, self.in_block);
        self.in_line = line_end.is_none();
        self.bytes.drain(..cut);
        self.left_out += cut as u64;
    }

    fn tell(&self, redactor: &Redactor, progress: Progress<'_>) {
        let text = String::from_utf8_lossy(&self.bytes);
        let complete = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or("");
        let clean = redactor.lines(complete, self.in_block);
        if let (false, Some(line)) = (self.in_line, clean.lines().next_back()) {
            progress(line);
        }
    }

    fn finish(mut self, redactor: &Redactor) -> Tail {
        if self.in_line {
            let rest = self.bytes.iter().position(|byte| *byte == b'\n').map_or(self.bytes.len(), |at| at + 1);
            let gone = String::from_utf8_lossy(self.bytes.get(..rest).unwrap_or_default());
            self.in_block = leaves_open(&gone, self.in_block);
            self.left_out += rest as u64;
            self.bytes.drain(..rest);
        }
        let text = String::from_utf8_lossy(&self.bytes);
        Tail { text: redactor.lines(&text, self.in_block), left_out: self.left_out }
    }
}

/// The environment of a program: the names that every program needs, those it is allowed by name, and its own.
pub fn environment<'a>(
    own: &BTreeMap<String, String>,
    allowed: &[String],
    extra: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let always = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];
    let names = always.into_iter().chain(allowed.iter().map(String::as_str));
    let mut environment: BTreeMap<String, String> =
        names.filter_map(|name| own.get(name).map(|value| (name.to_owned(), value.clone()))).collect();
    environment.extend(extra.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    environment
}

#[cfg(test)]
mod tests;
