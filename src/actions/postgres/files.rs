//! Backups on the disk: each a file, with a page beside it that says what it is. The page is written last, so that what has
//! none is not finished, or not of Vigie. Blocking; no decision is made here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::objects::Objects;
use super::server::Count;
use crate::actions::disk::{STAMP, flush_folder, removed, said};
use crate::incident::words::Words;

/// What stands beside a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    /// The database's name.
    pub database: String,
    /// The server that it is on, as the configuration names it. Nothing in pages of former versions.
    #[serde(default)]
    pub server_at: Option<String>,
    /// It was made right before a restore, to be able to go back.
    pub is_safety_copy: bool,
    /// The step that made it.
    pub made_by: String,
    /// When the state that it holds was, by the server's clock.
    pub made_at_ms: i64,
    pub took_ms: i64,
    pub bytes: u64,
    pub sha256: String,
    /// The server's version.
    pub server: String,
    /// The version of pg_dump.
    pub pg_dump: String,
    /// The rows of the counted tables, in the same state.
    pub counts: Vec<Count>,
    pub last_migration: Option<String>,
    /// What the database held in that state.
    #[serde(default)]
    pub objects: Option<Objects>,
}

/// A backup in the folder.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub name: String,
    pub bytes: u64,
    /// By its page; else when the file was written.
    pub made_at_ms: i64,
    pub page: Option<Page>,
}

impl Kept {
    pub(super) fn is_safety_copy(&self) -> bool {
        self.page.as_ref().is_some_and(|page| page.is_safety_copy)
    }

    /// It is of a database of the same name on another server.
    pub(super) fn is_foreign(&self, here: &str) -> bool {
        self.page.as_ref().and_then(|page| page.server_at.as_ref()).is_some_and(|at| at != here)
    }

    pub(super) fn is_plain(&self) -> bool {
        self.name.ends_with(PLAIN)
    }
}

/// So much of a script's end is looked at.
const END: u64 = 400;
/// How an archive and a script are called.
pub(super) const ARCHIVE: &str = ".dump";
pub(super) const PLAIN: &str = ".sql";
const PAGE: &str = ".json";

/// The backups in a folder, the newest first. The page of another database's backup does not fit.
pub(super) fn kept(folder: &Path, database: &str) -> Result<Vec<Kept>, Words> {
    let mut kept = Vec::new();
    for entry in said(folder, "file.not_listed", fs::read_dir(folder))? {
        let entry = said(folder, "file.not_listed", entry)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_backup = name.ends_with(ARCHIVE) || name.ends_with(PLAIN);
        if let (true, Some(one)) = (is_backup, one(&entry.path(), name))
            && one.page.as_ref().is_none_or(|page| page.database == database)
        {
            kept.push(one);
        }
    }
    kept.sort_by(|a, b| b.made_at_ms.cmp(&a.made_at_ms).then_with(|| b.name.cmp(&a.name)));
    Ok(kept)
}

/// Nothing where nobody knows what it is, or it went away just now: the others are as good as ever.
fn one(path: &Path, name: String) -> Option<Kept> {
    let seen = said(path, "file.not_read", fs::metadata(path)).and_then(|facts| Ok((facts, page(path)?)));
    let (facts, page) = seen.inspect_err(|why| tracing::warn!(%why, "a backup is passed over")).ok()?;
    if !facts.is_file() {
        return None;
    }
    let written = facts.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let written = written.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let made_at_ms = page.as_ref().map_or(written, |page| page.made_at_ms);
    Some(Kept { name, bytes: facts.len(), made_at_ms, page })
}

/// The page beside a backup, if there is one that can be read.
fn page(backup: &Path) -> Result<Option<Page>, Words> {
    let path = beside(backup, PAGE);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|_| Words::new("postgres.bad_page").with("path", path.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => said(&path, "file.not_read", Err(error)),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    path.with_file_name(name)
}

/// A new, empty file that nobody else can read; programs write into it and leave its mode as it is.
pub(super) fn made_private(path: &Path) -> Result<(), Words> {
    removed(path)?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    said(path, "file.not_written", made).map(|_| ())
}

/// Takes away what earlier attempts of the same step left unfinished.
pub(super) fn swept(folder: &Path, step: &str) -> Result<(), Words> {
    let unfinished = format!(".vigie-{step}-");
    for entry in said(folder, "file.not_listed", fs::read_dir(folder))? {
        let entry = said(folder, "file.not_listed", entry)?;
        if entry.file_name().to_string_lossy().starts_with(&unfinished) {
            removed(&entry.path())?;
        }
    }
    Ok(())
}

/// Where a step writes what is not finished.
pub(super) fn unfinished(folder: &Path, step: &str, what: &str) -> PathBuf {
    folder.join(format!(".vigie-{step}-{what}"))
}

/// A file's size and the digest of its content, once it is on the disk.
pub(super) fn sealed(path: &Path) -> Result<(u64, String), Words> {
    let sealed = || -> io::Result<(u64, String)> {
        let mut file = File::open(path)?;
        file.sync_all()?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1024 * 1024];
        let mut bytes = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((bytes, hex::encode(hash.finalize())));
            }
            hash.update(buffer.get(..read).unwrap_or_default());
            bytes += read as u64;
        }
    };
    said(path, "file.not_read", sealed())
}

/// Gives a finished backup its name, and writes its page.
pub(super) fn put(from: &Path, to: &Path, page: &Page) -> Result<(), Words> {
    said(to, "file.not_written", fs::rename(from, to))?;
    let path = beside(to, PAGE);
    let draft = beside(from, PAGE);
    made_private(&draft)?;
    let text = serde_json::to_vec_pretty(page).unwrap_or_default();
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&draft)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&draft, &path)
    };
    said(&path, "file.not_written", write())?;
    flush_folder(to)
}

/// Deletes a backup with its page; whether it was there.
pub(super) fn deleted(folder: &Path, name: &str) -> Result<bool, Words> {
    let path = folder.join(name);
    let was_there = path.exists();
    removed(&path)?;
    removed(&beside(&path, PAGE))?;
    Ok(was_there)
}

/// An instant in a file's name.
pub(super) fn stamp(at_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(at_ms).unwrap_or_default().format(STAMP).to_string()
}

/// A size for people.
pub(super) fn size(bytes: u64) -> Words {
    let figure = |key, unit: u64| Words::new(key).with("figure", bytes as f64 / unit as f64);
    match bytes {
        0..1_000_000 => figure("postgres.kilobytes", 1_000),
        1_000_000..1_000_000_000 => figure("postgres.megabytes", 1_000_000),
        _ => figure("postgres.gigabytes", 1_000_000_000),
    }
}

/// Whether pg_dump wrote a script to its end.
pub(super) fn demand_whole_script(path: &Path) -> Result<(), Words> {
    let end = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    };
    let end = said(path, "file.not_read", end())?;
    // It may begin in the middle of a letter.
    if String::from_utf8_lossy(&end).contains("PostgreSQL database dump complete") {
        Ok(())
    } else {
        Err(Words::new("postgres.cut_short"))
    }
}

/// From this version on the server knows the setting.
const KNOWS_TRANSACTION_TIMEOUT: i32 = 170_000;
/// What programs of that version write into every script, whichever server it is for. An older one stops at it.
const TRANSACTION_TIMEOUT: &[u8] = b"\nSET transaction_timeout = 0;\n";
/// A script's settings are within so much of its beginning.
const HEAD: u64 = 8 * 1024;

/// Takes out of a script what its server is too old for; nothing else of it moves.
pub(super) fn made_fit(script: &Path, server: i32) -> Result<(), Words> {
    if server >= KNOWS_TRANSACTION_TIMEOUT {
        return Ok(());
    }
    let blank = || -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).open(script)?;
        let mut head = Vec::new();
        (&mut file).take(HEAD).read_to_end(&mut head)?;
        let found = head.windows(TRANSACTION_TIMEOUT.len()).position(|part| part == TRANSACTION_TIMEOUT);
        let Some(place) = found else { return Ok(()) };
        file.seek(SeekFrom::Start(place as u64 + 1))?;
        file.write_all(&vec![b' '; TRANSACTION_TIMEOUT.len() - 2])
    };
    said(script, "file.not_written", blank())
}

/// Takes these lines out of a file of ours.
pub(super) fn without(list: &Path, lines: &[String]) -> Result<(), Words> {
    let shorten = || -> io::Result<()> {
        let text = fs::read_to_string(list)?;
        let kept = text.lines().filter(|line| !lines.iter().any(|gone| gone == line));
        fs::write(list, kept.map(|line| format!("{line}\n")).collect::<String>())
    };
    said(list, "file.not_written", shorten())
}

/// Whether a script fills large objects, which it does in transactions of its own.
pub(super) fn holds_large_objects(script: &Path) -> Result<bool, Words> {
    const OPENS: &[u8] = b"SELECT pg_catalog.lo_open(";
    let look = || -> io::Result<bool> {
        let mut script = BufReader::new(File::open(script)?);
        // How much of it the line has had so far, if nothing else; a line can be as long as the longest value.
        let mut had = Some(0);
        loop {
            let part = script.fill_buf()?;
            let length = part.len();
            if length == 0 {
                return Ok(false);
            }
            for byte in part {
                had = match had {
                    _ if *byte == b'\n' => Some(0),
                    Some(had) if OPENS.get(had) == Some(byte) => Some(had + 1),
                    _ => None,
                };
                if had == Some(OPENS.len()) {
                    return Ok(true);
                }
            }
            script.consume(length);
        }
    };
    said(script, "file.not_read", look())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_whole_whichever_letter_its_end_begins_in() {
        const DONE: &str = "-- PostgreSQL database dump complete\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.sql");
        let after = usize::try_from(END).unwrap() - 1;
        let filling = "x".repeat(after - DONE.len());
        fs::write(&path, format!("CREATE TABLE clé{filling}{DONE}")).unwrap();
        assert_eq!(demand_whole_script(&path), Ok(()));
        fs::write(&path, format!("CREATE TABLE clé{filling}{}", " ".repeat(DONE.len()))).unwrap();
        assert_eq!(demand_whole_script(&path), Err(Words::new("postgres.cut_short")));
    }

    #[test]
    fn a_backup_that_nobody_can_look_at_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("shop.dump"), "").unwrap();
        std::os::unix::fs::symlink("gone", folder.path().join("old.dump")).unwrap();
        let names: Vec<String> = kept(folder.path(), "shop").unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["shop.dump"]);
    }

    #[test]
    fn a_script_loses_only_the_setting_that_its_server_does_not_know() {
        const SCRIPT: &str = "SET lock_timeout = 0;\nSET transaction_timeout = 0;\nSET client_encoding = 'UTF8';\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.sql");
        let made_fit_for = |server: i32| {
            fs::write(&path, SCRIPT).unwrap();
            made_fit(&path, server).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        let blank = " ".repeat("SET transaction_timeout = 0;".len());
        assert_eq!(made_fit_for(150_018), SCRIPT.replace("SET transaction_timeout = 0;", &blank));
        assert_eq!(made_fit_for(170_000), SCRIPT);
        fs::write(&path, "").unwrap();
        assert_eq!(made_fit(&path, 150_018), Ok(()));
    }

    #[test]
    fn large_objects_are_found_in_a_script_and_not_in_what_speaks_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.sql");
        let filling = "x".repeat(100_000);
        let cases = [
            (format!("{filling}\nBEGIN;\n\nSELECT pg_catalog.lo_open('16401', 131072);\n"), true),
            ("SELECT pg_catalog.lo_open(pg_catalog.lo_create('1'), 131072);".to_owned(), true),
            (format!("{filling}SELECT pg_catalog.lo_open('16401', 131072);\n"), false),
            ("SELECT pg_catalog.set_config('search_path', '', false);\nSELECT pg_catalog.lo_o".to_owned(), false),
            (String::new(), false),
        ];
        for (script, holds) in cases {
            fs::write(&path, &script).unwrap();
            assert_eq!(holds_large_objects(&path), Ok(holds));
        }
    }
}
