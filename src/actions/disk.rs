//! What all have in common that write files of their own: names with a time, faults as sentences, and renames that
//! survive a power cut. Blocking, but for [`off_thread`]; it decides nothing.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::incident::words::Words;
use crate::reason;

/// The time in a file's name, as [`chrono`] writes and reads it: `20261120T120000Z`.
pub(super) const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// A fault of the disk as the sentence `key`, with its path and why.
pub(super) fn said<T>(path: &Path, key: &'static str, result: io::Result<T>) -> Result<T, Words> {
    result.map_err(|error| Words::new(key).with("path", path.display().to_string()).with("why", reason::of_io(&error)))
}

/// Opens a file to read it. A pipe is not opened at all: that would wait for somebody who writes into it, for ever.
pub(super) fn opened(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() { File::open(path) } else { Err(io::ErrorKind::IsADirectory.into()) }
}

/// Takes a file away, if it is there.
pub(super) fn removed(path: &Path) -> Result<(), Words> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => said(path, "file.not_removed", done),
    }
}

/// Makes what became of a file's name survive a power cut.
pub(super) fn flush_folder(path: &Path) -> Result<(), Words> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    said(folder, "file.not_flushed", File::open(folder).and_then(|folder| folder.sync_all()))
}

/// Runs what waits for the disk where it holds up nobody.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Words> + Send + 'static,
) -> Result<T, Words> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|fault| Err(Words::new("file.work_broke").with("why", fault.to_string())))
}
