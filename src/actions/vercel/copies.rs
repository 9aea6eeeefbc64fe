//! Copies of a project's variables on the disk: written beside and renamed, for the owner's eyes only. Blocking; values are
//! read and written here and shown nowhere.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::variables::Variable;
use crate::actions::disk::{STAMP, flush_folder, removed, said};
use crate::incident::words::Words;

/// Whose variables they are, as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    pub project: String,
    pub team: Option<String>,
}

/// What a file of a copy holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Contents {
    /// Nothing in copies of former versions.
    #[serde(flatten)]
    pub owner: Option<Owner>,
    pub variables: Vec<Variable>,
    /// Names of those whose values Vercel shows nobody.
    pub unreadable: Vec<String>,
}

/// A copy.
pub(super) struct Copy {
    pub name: String,
    pub digest: String,
    pub contents: Contents,
}

/// The names of a project's copies, the newest first: a time stands in each, so their order is that of the alphabet. Others
/// may keep theirs in the same folder.
pub(super) fn names(folder: &Path, owner: &Owner) -> Result<Vec<String>, Words> {
    let mut names = Vec::new();
    for entry in said(folder, "file.not_listed", fs::read_dir(folder))? {
        let name = said(folder, "file.not_listed", entry)?.file_name().to_string_lossy().into_owned();
        if is_named_for(&name, &owner.project) && !is_foreign(folder, &name, owner) {
            names.push(name);
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// `<project>.<time>.<key>.json` and nothing else: the copies of `shop.eu` begin as those of `shop` do.
fn is_named_for(name: &str, project: &str) -> bool {
    let rest = name.strip_prefix(project).and_then(|rest| rest.strip_prefix('.'));
    let parts = rest.and_then(|rest| rest.strip_suffix(ENDING)).and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(stamp, key)| NaiveDateTime::parse_from_str(stamp, STAMP).is_ok() && !key.contains('.'))
}

/// It says itself that it is of another team's project. One that cannot be read is told of when it is chosen.
fn is_foreign(folder: &Path, name: &str, owner: &Owner) -> bool {
    read(folder, name).is_ok_and(|copy| copy.contents.owner.is_some_and(|of| of != *owner))
}

/// The copy that a step of a run has made.
pub(super) fn made_by(folder: &Path, owner: &Owner, key: &str) -> Result<Option<String>, Words> {
    let ending = format!(".{key}{ENDING}");
    Ok(names(folder, owner)?.into_iter().find(|name| name.ends_with(&ending)))
}

const ENDING: &str = ".json";

/// Reads a copy.
pub(super) fn read(folder: &Path, name: &str) -> Result<Copy, Words> {
    let path = folder.join(name);
    let bytes = said(&path, "file.not_read", fs::read(&path))?;
    let contents = serde_json::from_slice(&bytes).map_err(|_| Words::new("vercel.no_copy_file").with("copy", name))?;
    Ok(Copy { name: name.to_owned(), digest: hex::encode(Sha256::digest(&bytes)), contents })
}

/// Writes a copy named `<project>.<time>.<key>.json`, the time being the disk's own; its name.
pub(super) fn write(folder: &Path, project: &str, key: &str, contents: &Contents) -> Result<String, Words> {
    let beside = folder.join(format!(".vigie-{key}-{project}"));
    removed(&beside)?;
    let written = write_new(&beside, contents);
    if written.is_err() {
        removed(&beside)?;
    }
    let written = said(&beside, "file.not_written", written)?;
    let stamp = written.format(STAMP);
    let name = format!("{project}.{stamp}.{key}{ENDING}");
    let copy = folder.join(&name);
    said(&copy, "file.not_written", fs::rename(&beside, &copy))?;
    flush_folder(&copy)?;
    Ok(name)
}

fn write_new(path: &PathBuf, contents: &Contents) -> io::Result<DateTime<Utc>> {
    let bytes = serde_json::to_vec_pretty(contents)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok(file.metadata()?.modified()?.into())
}
