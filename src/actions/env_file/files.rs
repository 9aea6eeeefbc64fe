//! The disk's side of environment files: digests, copies, atomic replacement. Blocking; no decision is made here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};
use sha2::{Digest as _, Sha256};

use crate::actions::disk::{STAMP, flush_folder, opened, removed, said};
use crate::incident::words::Words;

/// Nobody's environment file is larger.
const MOST_BYTES: u64 = 1024 * 1024;

/// How a file stands. Its content stays in this module and its parent and is never shown.
pub(in crate::actions) struct State {
    pub digest: String,
    pub modified: SystemTime,
    pub bytes: Vec<u8>,
}

/// A copy of the file.
pub(super) struct Copy {
    pub name: String,
    pub path: PathBuf,
    pub state: State,
}

impl Copy {
    /// Whether its name begins with a time, as those that Vigie makes do. `.env.local` is no copy of `.env`.
    pub(super) fn is_dated(&self, of: &Path) -> bool {
        self.stamp(of).is_some()
    }

    /// The time in its name.
    fn stamp(&self, of: &Path) -> Option<DateTime<Utc>> {
        let prefix = format!("{}.", of.file_name().unwrap_or_default().to_string_lossy());
        let stamp = self.name.strip_prefix(&prefix)?.split('.').next()?;
        NaiveDateTime::parse_from_str(stamp, STAMP).ok().map(|stamp| stamp.and_utc())
    }

    /// When it was made: what its name says outlives a copy of the whole folder, which makes every file new.
    fn made(&self, of: &Path) -> DateTime<Utc> {
        self.stamp(of).unwrap_or_else(|| self.state.modified.into())
    }
}

impl State {
    /// Its text, to look at only: what is no UTF-8 is lost.
    pub(in crate::actions) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// For people: when it was written and the start of its digest.
    pub(super) fn shown(&self) -> String {
        let written = DateTime::<Utc>::from(self.modified).format("%Y-%m-%d %H:%M:%S UTC");
        format!("{written} (sha256 {})", self.digest.get(..12).unwrap_or(&self.digest))
    }
}

/// The file behind links, so that a link stays a link; the path itself when nothing is there yet.
pub(in crate::actions) fn real(path: &Path) -> Result<PathBuf, Words> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_path_buf()),
        found => said(path, "file.not_found", found),
    }
}

/// How the file stands; `None` when there is none.
pub(in crate::actions) fn state(path: &Path) -> Result<Option<State>, Words> {
    match read(path) {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => said(path, "file.not_read", Err(error)),
    }
}

fn read(path: &Path) -> io::Result<State> {
    let file = opened(path)?;
    let facts = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let digest = hex::encode(Sha256::digest(&bytes));
    Ok(State { digest, modified: facts.modified()?, bytes })
}

/// The copies of a file, the newest first, and why others by such a name could not be read.
pub(super) fn copies(folder: &Path, of: &Path) -> Result<(Vec<Copy>, BTreeMap<String, Words>), Words> {
    let (mut copies, mut unread) = (Vec::new(), BTreeMap::new());
    for name in names(folder, of)? {
        let path = folder.join(&name);
        if !path.is_file() {
            continue;
        }
        match state(&path) {
            Ok(Some(state)) => copies.push(Copy { name, path, state }),
            Ok(None) => {}
            Err(why) => _ = unread.insert(name, why),
        }
    }
    copies.sort_by(|a, b| b.made(of).cmp(&a.made(of)).then_with(|| b.name.cmp(&a.name)));
    Ok((copies, unread))
}

/// The names in the folder that are those of copies: `<its name>.<anything>`.
fn names(folder: &Path, of: &Path) -> Result<Vec<String>, Words> {
    let prefix = format!("{}.", of.file_name().unwrap_or_default().to_string_lossy());
    let mut names = Vec::new();
    for entry in said(folder, "file.not_listed", fs::read_dir(folder))? {
        let entry = said(folder, "file.not_listed", entry)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&prefix) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The copy that a step of a run has made.
pub(super) fn saved_by(folder: &Path, of: &Path, key: &str) -> Result<Option<String>, Words> {
    let suffix = format!(".{key}");
    Ok(names(folder, of)?.into_iter().find(|name| name.ends_with(&suffix)))
}

/// Makes a copy named `<name>.<time>.<key>`, with the same mode and owner; the time is the disk's own.
pub(super) fn save(path: &Path, folder: &Path, key: &str) -> Result<PathBuf, Words> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = written_beside(&folder.join(&name), path, path, key)?;
    let written = said(&beside, "file.not_read", fs::metadata(&beside).and_then(|facts| facts.modified()))?;
    let stamp = DateTime::<Utc>::from(written).format(STAMP);
    let copy = folder.join(format!("{name}.{stamp}.{key}"));
    said(&copy, "file.not_written", renamed(&beside, &copy))?;
    flush_folder(&copy)?;
    Ok(copy)
}

/// Puts a copy in the file's place in one move, with the file's mode and owner.
pub(super) fn replace(path: &Path, with: &Path, key: &str) -> Result<(), Words> {
    let like = if path.exists() { path } else { with };
    let beside = written_beside(path, with, like, key)?;
    moved(&beside, path, flush_folder)
}

/// The one move. What is moved is there for everybody: a folder that cannot be flushed is no reason to say that nothing was
/// changed.
pub(super) fn moved(beside: &Path, path: &Path, flush: impl Fn(&Path) -> Result<(), Words>) -> Result<(), Words> {
    said(path, "file.not_replaced", renamed(beside, path))?;
    told(flush(path));
    Ok(())
}

/// Gives a finished file its name. One that does not get it is taken away, for it holds every value.
fn renamed(beside: &Path, path: &Path) -> io::Result<()> {
    let done = fs::rename(beside, path);
    if done.is_err()
        && let Err(why) = removed(beside)
    {
        tracing::warn!(%why, "a copy of an environment file is left");
    }
    done
}

/// Tells of a change that is done and might not survive a power cut.
fn told(flushed: Result<(), Words>) {
    if let Err(why) = flushed {
        tracing::warn!(%why, "a file was changed, but a power cut might bring back what was there");
    }
}

/// A finished, flushed file beside `place` with the text of `from` and the mode and owner of `like`. Its name is not
/// one of a copy, so that a crash leaves nothing that could be taken for one.
fn written_beside(place: &Path, from: &Path, like: &Path, key: &str) -> Result<PathBuf, Words> {
    let bytes = said(from, "file.not_read", fs::read(from))?;
    bytes_beside(place, &bytes, Some(like), key)
}

fn bytes_beside(place: &Path, bytes: &[u8], like: Option<&Path>, key: &str) -> Result<PathBuf, Words> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".vigie-{key}-{name}"));
    removed(&beside)?;
    let done = write_like(&beside, bytes, like);
    if done.is_err() {
        removed(&beside)?;
    }
    said(&beside, "file.not_written", done)?;
    Ok(beside)
}

fn write_like(new: &Path, bytes: &[u8], like: Option<&Path>) -> io::Result<()> {
    let facts = like.map(fs::metadata).transpose()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let own = file.metadata()?;
    if let Some(facts) = facts.as_ref().filter(|facts| (own.uid(), own.gid()) != (facts.uid(), facts.gid())) {
        fchown(&file, Some(facts.uid()), Some(facts.gid()))?;
    }
    file.write_all(bytes)?;
    // After the owner: a change of owner may take bits of the mode away.
    let mode = facts.map_or(0o644, |facts| facts.mode() & 0o7777);
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Puts this text in the file's place in one move, with the file's mode and owner; a new file can be read by everybody.
pub(in crate::actions) fn put(path: &Path, bytes: &[u8], key: &str) -> Result<(), Words> {
    let beside = bytes_beside(path, bytes, path.exists().then_some(path), key)?;
    moved(&beside, path, flush_folder)
}

/// All of a file; nothing where there is none.
pub(in crate::actions) fn bytes(path: &Path) -> Result<Option<Vec<u8>>, Words> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => said(path, "file.not_read", read).map(Some),
    }
}

/// Takes a file away.
pub(in crate::actions) fn remove(path: &Path) -> Result<(), Words> {
    said(path, "file.not_removed", fs::remove_file(path))?;
    told(flush_folder(path));
    Ok(())
}

/// What a change of the text does to its variables, by name only.
pub(super) fn changed_names(old: &str, new: &str) -> Vec<Words> {
    let (old, new) = (variables(old), variables(new));
    let line = |key, name: &str| Words::new(key).with("variable", name);
    let mut lines = Vec::new();
    for (name, value) in &new {
        match old.get(name) {
            None => lines.push(line("file.comes_back", name)),
            Some(before) if before != value => lines.push(line("file.changes", name)),
            Some(_) => {}
        }
    }
    lines.extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| line("file.goes_away", name)));
    if lines.is_empty() { vec![Words::new("file.only_blanks")] } else { lines }
}

/// The variables with their values. A quoted value may go on over several lines, which must not be taken for names.
fn variables(text: &str) -> BTreeMap<&str, String> {
    let mut variables = BTreeMap::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let pair = line.strip_prefix("export ").unwrap_or(line).split_once('=');
        let Some((name, value)) = pair.filter(|_| !line.starts_with('#')) else { continue };
        let mut value = value.to_owned();
        if let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            while value.matches(quote).count() == 1
                && let Some(more) = lines.next()
            {
                value.push('\n');
                value.push_str(more);
            }
        }
        if is_name(name.trim()) {
            variables.insert(name.trim(), value);
        }
    }
    variables
}

/// Anything else may be the rest of a value of several lines, and would show it.
fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
