//! Logs of containers: the end of what there is, and the lines as they come.
//!
//! A server that is told how many bytes it may send sends the first ones. What people need is the newest, so the whole is
//! read and only its end is held.

use futures_util::stream::BoxStream;
use futures_util::{AsyncBufReadExt as _, AsyncReadExt as _, StreamExt as _};
use kube::core::subresource::LogParams;

use super::super::stopwatch::within;
use super::call::{Site, Trouble};
use super::kinds::PODS;

/// The lines of a log.
pub(super) type Lines = BoxStream<'static, std::io::Result<String>>;

/// The most lines of a time that are asked for.
const MOST_LINES: usize = 100_000;
/// What is read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// A container whose log is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged<'a> {
    pub pod: &'a str,
    pub container: &'a str,
    /// The one before its restart.
    pub previous: bool,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogEnd {
    pub text: String,
    /// There was more before it.
    pub is_cut: bool,
}

impl Logged<'_> {
    fn params(&self) -> LogParams {
        LogParams { container: Some(self.container.to_owned()), previous: self.previous, ..LogParams::default() }
    }
}

impl Site<'_> {
    /// The last lines of a log, and of them no more than the last bytes.
    pub(super) async fn last_lines(&self, of: Logged<'_>, lines: i64, most: usize) -> Result<LogEnd, Trouble> {
        self.log_end(of.pod, &LogParams { tail_lines: Some(lines), ..of.params() }, most).await
    }

    /// What was printed in the last seconds, and of it no more than the last bytes.
    pub(super) async fn log_since(&self, of: Logged<'_>, seconds: i64, most: usize) -> Result<LogEnd, Trouble> {
        let lines = i64::try_from(MOST_LINES).unwrap_or(i64::MAX);
        let params = LogParams { since_seconds: Some(seconds), tail_lines: Some(lines), ..of.params() };
        let end = self.log_end(of.pod, &params, most).await?;
        let is_cut = end.is_cut || end.text.lines().count() >= MOST_LINES;
        Ok(LogEnd { is_cut, ..end })
    }

    /// The lines from the last ones on, until the container or the connection ends.
    pub(super) async fn follow_log(&self, of: Logged<'_>, last: i64) -> Result<Lines, Trouble> {
        let params = LogParams { follow: true, tail_lines: Some(last), ..of.params() };
        let call = self.at(PODS).logs(of.pod, &params).map_err(Trouble::unsent)?;
        let longest = self.one_look();
        let log = within(longest, self.stream(call)).await;
        Ok(log.map_err(|_| Trouble::late(longest))??.lines().boxed())
    }

    async fn log_end(&self, pod: &str, params: &LogParams, most: usize) -> Result<LogEnd, Trouble> {
        let call = self.at(PODS).logs(pod, params).map_err(Trouble::unsent)?;
        let reading = async {
            let mut log = Box::pin(self.stream(call).await?);
            let (mut end, mut piece) = (End::of(most), vec![0; PIECE]);
            loop {
                match log.read(&mut piece).await {
                    Ok(0) => return Ok(end.told()),
                    Ok(read) => end.add(piece.get(..read).unwrap_or_default()),
                    Err(error) => return Err(Trouble::broke_off(&error)),
                }
            }
        };
        let longest = self.one_look();
        within(longest, reading).await.map_err(|_| Trouble::late(longest))?
    }
}

/// The last bytes of what goes by.
struct End {
    most: usize,
    held: Vec<u8>,
    is_cut: bool,
}

impl End {
    fn of(most: usize) -> Self {
        Self { most, held: Vec::new(), is_cut: false }
    }

    fn add(&mut self, more: &[u8]) {
        self.held.extend_from_slice(more);
        // Not with every piece: moving what is held costs more than holding it.
        if self.held.len() > self.most.saturating_mul(2) {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let surplus = self.held.len().saturating_sub(self.most);
        self.held.drain(..surplus);
        self.is_cut |= surplus > 0;
    }

    /// Whole lines, where there is more than one.
    fn told(mut self) -> LogEnd {
        self.shorten();
        let end = self.held.iter().position(|byte| *byte == b'\n').filter(|_| self.is_cut).map_or(0, |end| end + 1);
        let whole = self.held.get(end..).filter(|rest| !rest.is_empty()).unwrap_or(&self.held);
        LogEnd { text: String::from_utf8_lossy(whole).into_owned(), is_cut: self.is_cut }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(pieces: &[&str], most: usize) -> LogEnd {
        let mut end = End::of(most);
        for piece in pieces {
            end.add(piece.as_bytes());
        }
        end.told()
    }

    #[test]
    fn the_newest_whole_lines_of_what_is_too_long_are_held() {
        let told = |text: &str, is_cut| LogEnd { text: text.to_owned(), is_cut };
        assert_eq!(end_of(&["one\n", "two\n"], 8), told("one\ntwo\n", false));
        assert_eq!(end_of(&["one\n", "two\n", "three\n"], 8), told("three\n", true));
        assert_eq!(end_of(&["one\n", "a line without an end"], 8), told("t an end", true));
        assert_eq!(end_of(&[&"long ".repeat(100), "\nlast\n"], 8), told("last\n", true));
        assert_eq!(end_of(&["é".repeat(10).as_str(), "\n"], 6), told("\u{fffd}éé\n", true));
        assert_eq!(end_of(&[], 8), told("", false));
    }
}
