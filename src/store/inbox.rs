//! What came in: kept under the sender's own id before it is acknowledged (rule 1), so that a second delivery is
//! harmless and nothing acknowledged is ever lost.

use sqlx::{Row, SqliteConnection};

use super::{Store, StoreFault, write};
use crate::incident::decision::{Input, Report};
use crate::incident::id::{ChannelId, IncidentId};
use crate::incident::time::Instant;

/// Which incident an input is for, as far as the sender knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The incident that was named.
    pub incident: Option<IncidentId>,
    /// The channel it came from.
    pub channel: Option<ChannelId>,
}

impl Target {
    /// For an incident that is known.
    pub fn incident(id: IncidentId) -> Self {
        Self { incident: Some(id), channel: None }
    }
}

/// An input that waits to be decided upon.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Its place in the inbox.
    pub position: i64,
    /// What it is for.
    pub target: Target,
    /// What it is.
    pub input: Input,
}

const RECEIVE: &str = "INSERT INTO inbox (source, incident, channel, input, state, arrived_at) \
     VALUES ($1, $2, $3, $4, 'new', $5) ON CONFLICT (source) DO NOTHING RETURNING position";

impl Store {
    /// Keeps an input. When this returns, it will be acted upon, whatever happens to this process.
    /// `false` means that the same `source` was received before.
    ///
    /// # Errors
    /// When the database fails; then the sender must not be told that it was received.
    pub async fn receive(&self, source: &str, target: Target, input: &Input, at: Instant) -> Result<bool, StoreFault> {
        let mut connection = self.writer.acquire().await?;
        let inserted = receive_in(&mut connection, source, &target, input, at).await?;
        drop(connection);
        self.announce();
        Ok(inserted)
    }

    /// Keeps a result that came back from outside.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report(
        &self,
        source: &str,
        incident: IncidentId,
        report: Report,
        at: Instant,
    ) -> Result<bool, StoreFault> {
        self.receive(source, Target::incident(incident), &Input::Report(report), at).await
    }
}

pub(super) async fn receive_in(
    connection: &mut SqliteConnection,
    source: &str,
    target: &Target,
    input: &Input,
    at: Instant,
) -> Result<bool, StoreFault> {
    let row = sqlx::query(RECEIVE)
        .bind(source)
        .bind(target.incident.map(|id| id.0))
        .bind(target.channel.as_ref().map(|channel| channel.0.clone()))
        .bind(write("input", input)?)
        .bind(at.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some_and(|row| row.get::<i64, _>("position") > 0))
}
