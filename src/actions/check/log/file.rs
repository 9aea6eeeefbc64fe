//! The end of a log file: how many of its newest lines match.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::DateTime;
use regex::Regex;

use crate::actions::disk::opened;
use crate::actions::process::{Counted, LineCount};
use crate::incident::time::Millis;

/// The most of a file that is read, from its end.
const MOST_READ: u64 = 64 * 1024 * 1024;
/// Where the newest time is looked for, from the end of the file.
const END: u64 = 256 * 1024;

/// A time in a line, as RFC 3339 writes it; also with a blank instead of the T, and without a zone.
static TIME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?").ok());

/// How many lines match; with a window, only of those that came within so long a time before this moment. Which moment
/// that is in the file's own time, whatever its zone, is told by the newest time in it and by how long ago it was written
/// to. A line without a time is as old as the one before it. Nothing when the file's end has no time to go by.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn count(path: &Path, filter: &Regex, window: Option<Millis>) -> io::Result<Option<Counted>> {
    let mut file = opened(path)?;
    let facts = file.metadata()?;
    let length = facts.len();
    // Written to by a clock that is ahead is written to just now.
    let silent = facts.modified()?.elapsed().map_or(0, |silent| i64::try_from(silent.as_millis()).unwrap_or(i64::MAX));
    let oldest = match window {
        None => None,
        Some(window) => match newest_time(&mut file, length)? {
            Some(newest) => Some(newest.saturating_add(silent).saturating_sub(window.0)),
            None => return Ok((length == 0).then(Counted::default)),
        },
    };
    let from = length.saturating_sub(MOST_READ);
    file.seek(SeekFrom::Start(from))?;
    // What is written meanwhile is looked at next time.
    let mut lines = BufReader::new(file.take(length - from));
    let mut count = LineCount::of(filter.clone());
    let mut line = Vec::new();
    // The rest of a line whose beginning is not read is left out.
    let (mut is_within, mut is_whole) = (oldest.is_none(), from == 0);
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(Some(count.finish()));
        }
        if let (Some(oldest), Some(time)) = (oldest, time_in(&line)) {
            is_within = time >= oldest;
        }
        if is_within && is_whole {
            count.take(&line);
        }
        is_whole = true;
    }
}

fn newest_time(file: &mut File, length: u64) -> io::Result<Option<i64>> {
    let from = length.saturating_sub(END);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(END).read_to_end(&mut end)?;
    Ok(end.rsplit(|byte| *byte == b'\n').find_map(time_in))
}

/// The first time in a line, in milliseconds; one without a zone is taken as UTC, as all of its file are.
fn time_in(line: &[u8]) -> Option<i64> {
    let text = String::from_utf8_lossy(line);
    let time = TIME.as_ref()?.find(&text)?.as_str();
    let zoned = time.parse::<Timestamp>().ok();
    let instant = match zoned {
        Some(instant) => instant,
        None => time.parse::<DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp(),
    };
    Some(instant.as_millisecond())
}
