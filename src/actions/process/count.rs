//! Counting lines that match while they pass by: what is only counted need not be kept.

use regex::Regex;

/// The most of one line that is looked at; the rest of it is passed over.
const MOST_LINE: usize = 64 * 1024;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The lines that match.
    pub lines: u64,
    /// The one of them that came last.
    pub newest: Option<String>,
}

impl Counted {
    /// Both together; the newest is this one's where there is one.
    pub fn and(self, other: Counted) -> Counted {
        Counted { lines: self.lines + other.lines, newest: self.newest.or(other.newest) }
    }
}

/// Counts the lines of a stream that match.
#[derive(Debug)]
pub struct LineCount {
    pattern: Regex,
    /// The line that is not complete yet.
    line: Vec<u8>,
    counted: Counted,
}

impl LineCount {
    /// Nothing counted yet.
    pub fn of(pattern: Regex) -> Self {
        Self { pattern, line: Vec::new(), counted: Counted::default() }
    }

    /// The next bytes, wherever they end.
    pub fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MOST_LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(part.get(..room).unwrap_or(part));
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// What was counted; the last line may have no end.
    pub fn finish(mut self) -> Counted {
        self.end_line();
        self.counted
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        if self.pattern.is_match(&text) {
            self.counted.lines += 1;
            self.counted.newest = Some(text.trim().to_owned());
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(parts: &[&[u8]]) -> Counted {
        let mut count = LineCount::of(Regex::new("ERROR|panic").unwrap());
        parts.iter().for_each(|part| count.take(part));
        count.finish()
    }

    #[test]
    fn a_line_is_counted_once_wherever_it_is_cut_and_the_last_needs_no_end() {
        let counted = counted(&[b"INFO fine\nERR", b"OR and ERROR again\nwarn\n", b"panic: \xff at the end"]);
        assert_eq!(counted, Counted { lines: 2, newest: Some("panic: \u{fffd} at the end".into()) });
    }

    #[test]
    fn of_a_line_without_end_only_the_beginning_is_looked_at() {
        let long = vec![b'x'; 3 * MOST_LINE];
        assert_eq!(counted(&[&long, b"ERROR\nERROR\n"]).lines, 1);
    }
}
