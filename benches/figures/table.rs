//! The table that everything ends in: one row for each bot and figure, as Markdown.

use std::fmt;
use std::time::Duration;

/// The rows so far. Each is also told on standard error as it comes.
#[derive(Default)]
pub struct Table(Vec<Row>);

/// One figure of one bot.
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// Who was measured.
    pub bot: String,
    /// How long it took, every time; empty for what is no length of time.
    pub took: Vec<Duration>,
    /// The figure itself where it is no length of time, or what else there is to say.
    pub besides: String,
}

impl Table {
    pub fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.0.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| Figure | Bot | p50 | p99 | max | times | Besides |")?;
        writeln!(f, "|---|---|--:|--:|--:|--:|---|")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        let share = |percent| sorted.get(rank(sorted.len(), percent)).copied().map(length).unwrap_or_default();
        let times = if sorted.is_empty() { String::new() } else { sorted.len().to_string() };
        let (p50, p99, max) = (share(50), share(99), share(100));
        write!(f, "| {} | {} | {p50} | {p99} | {max} | {times} | {} |", self.figure, self.bot, self.besides)
    }
}

/// The place of the smallest value that is not below so many percent of all.
fn rank(count: usize, percent: usize) -> usize {
    (count * percent).div_ceil(100).saturating_sub(1)
}

/// A length of time with three figures, as people read it.
fn length(took: Duration) -> String {
    let ms = took.as_secs_f64() * 1_000.0;
    match ms {
        _ if ms < 10.0 => format!("{ms:.2} ms"),
        _ if ms < 100.0 => format!("{ms:.1} ms"),
        _ if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1_000.0),
    }
}
