//! When nobody worked, or nobody heard Slack: what is kept of it, and that the open incidents are told of each minute of it once,
//! however many processes notice (rule 10).

use super::db::{Conn, Write, args};
use super::{Store, StoreFault, sql, write};
use crate::incident::decision::{Input, Report};
use crate::incident::time::{Instant, Millis};

/// Until when the open incidents have been told, by any process.
const TOLD_UNTIL: &str = "absence_told_until";
/// Since when nobody hears Slack, for as long as that is so; else 0.
const DEAF_SINCE: &str = "deaf_since";

impl Store {
    /// Since when nobody hears Slack, as whoever noticed first has noted; whoever starts meanwhile knows it, too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deaf_since(&self) -> Result<Option<Instant>, StoreFault> {
        Ok(self.number(DEAF_SINCE).await?.filter(|at| *at > 0).map(Instant))
    }

    /// Notes since when nobody hears Slack, or that it is heard.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_deaf(&self, since: Option<Instant>) -> Result<(), StoreFault> {
        self.set_number(DEAF_SINCE, since.map_or(0, |since| since.0)).await
    }

    /// Tells all open incidents, or none, of a time in which nobody worked or heard, and of the deafness that went before it;
    /// but not of what they were told already. Less than `least` is not told. Whether they are told now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell_absence(&self, from: Instant, until: Instant, least: Millis) -> Result<bool, StoreFault> {
        let told = self.db.write(TellAbsence { from, until, least }).await?;
        if let Some(from) = told {
            tracing::warn!(seconds = until.since(from).0 / 1000, "back after an absence");
            self.announce_arrival();
        }
        Ok(told.is_some())
    }
}

struct TellAbsence {
    from: Instant,
    until: Instant,
    least: Millis,
}

impl Write for TellAbsence {
    /// Since when, if it is told.
    type Out = Option<Instant>;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
        // Whoever notices at the same time waits here, and finds what is told then.
        conn.run(&sql::RAISE_NUMBER, args![TOLD_UNTIL, 0]).await?;
        let Some(told) = conn.first(&sql::NUMBER_TO_CHANGE, args![TOLD_UNTIL]).await? else { return Ok(None) };
        let deaf = conn.first(&sql::NUMBER, args![DEAF_SINCE]).await?.map(|row| row.int("value")).transpose()?;
        let deaf = deaf.filter(|at| *at > 0).map_or(self.from, Instant);
        let from = self.from.min(deaf).max(Instant(told.int("value")?));
        if self.until.since(from) < self.least {
            return Ok(None);
        }
        let input = write("input", &Input::Report(Report::WasAway { from, until: self.until }))?;
        conn.run(&sql::RECEIVE_IN_ALL, args![format!("away:{}:", from.0), input, self.until.0]).await?;
        conn.run(&sql::SET_NUMBER, args![TOLD_UNTIL, self.until.0]).await?;
        Ok(Some(from))
    }
}
