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
use crate::incident::approval::Choice;
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
    /// Of what it is a copy; in those of former versions it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
}

/// Of what a copy was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    /// Of whatever has these names in these environments, by a step that saves; all where none is named.
    Saved { names: Vec<String>, environments: Vec<String> },
    /// Of what a step was about to change, and nothing beside it.
    BeforeChange,
}

impl Contents {
    /// It was kept before a change, and holds only what that touched.
    pub(super) fn is_part(&self) -> bool {
        self.scope == Some(Scope::BeforeChange)
    }

    /// A variable like this one would be in it, had there been one when it was made.
    pub(super) fn covers<'e>(&self, name: &String, mut environments: impl Iterator<Item = &'e String>) -> bool {
        match &self.scope {
            None => true,
            Some(Scope::BeforeChange) => false,
            Some(Scope::Saved { names, environments: saved }) => {
                let is_here = saved.is_empty() || environments.any(|one| saved.contains(one));
                is_here && (names.is_empty() || names.contains(name))
            }
        }
    }
}

/// A copy.
pub(super) struct Copy {
    pub name: String,
    pub digest: String,
    pub contents: Contents,
}

/// A project's copies by their names, the newest first: a time stands in each, so their order is that of the alphabet. Others
/// may keep theirs in the same folder. One that cannot be read is told of when it is chosen.
fn all(folder: &Path, owner: &Owner) -> Result<Vec<(String, Option<Contents>)>, Words> {
    let mut all = Vec::new();
    for entry in said(folder, "file.not_listed", fs::read_dir(folder))? {
        let name = said(folder, "file.not_listed", entry)?.file_name().to_string_lossy().into_owned();
        if !is_named_for(&name, &owner.project) {
            continue;
        }
        let contents = read(folder, &name).ok().map(|copy| copy.contents);
        let says_another = |contents: &Contents| contents.owner.as_ref().is_some_and(|of| of != owner);
        if !contents.as_ref().is_some_and(says_another) {
            all.push((name, contents));
        }
    }
    all.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    Ok(all)
}

/// The copies for a person to choose from, the newest first.
pub(super) fn choices(folder: &Path, owner: &Owner) -> Result<Vec<Choice>, Words> {
    let label = |name: &String, contents: Option<Contents>| match contents {
        None => Words::verbatim(name.as_str()),
        Some(contents) => {
            let words = Words::new("vercel.copy").with("copy", name.as_str()).with("part", contents.is_part());
            words.with("count", contents.variables.len())
        }
    };
    let all = all(folder, owner)?.into_iter();
    Ok(all.map(|(name, contents)| Choice { label: label(&name, contents), value: name }).collect())
}

/// The copy of this name; without one the newest that was saved as such, and only where there is none the newest of all: what
/// was kept before a change would else stand in the way of what somebody saved.
pub(super) fn chosen(folder: &Path, owner: &Owner, wanted: Option<&str>) -> Result<Option<Copy>, Words> {
    let all = all(folder, owner)?;
    let is_saved = |(_, contents): &&(String, Option<Contents>)| !contents.as_ref().is_some_and(Contents::is_part);
    let found = match wanted {
        Some(wanted) => all.iter().find(|(name, _)| name == wanted),
        None => all.iter().find(is_saved).or(all.first()),
    };
    found.map(|(name, _)| read(folder, name)).transpose()
}

/// `<project>.<time>.<key>.json` and nothing else: the copies of `shop.eu` begin as those of `shop` do.
fn is_named_for(name: &str, project: &str) -> bool {
    let rest = name.strip_prefix(project).and_then(|rest| rest.strip_prefix('.'));
    let parts = rest.and_then(|rest| rest.strip_suffix(ENDING)).and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(stamp, key)| NaiveDateTime::parse_from_str(stamp, STAMP).is_ok() && !key.contains('.'))
}

/// The copy that a step of a run has made.
pub(super) fn made_by(folder: &Path, owner: &Owner, key: &str) -> Result<Option<String>, Words> {
    let ending = format!(".{key}{ENDING}");
    Ok(all(folder, owner)?.into_iter().map(|(name, _)| name).find(|name| name.ends_with(&ending)))
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
