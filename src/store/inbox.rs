//! What came in: kept under the sender's own id before it is acknowledged (rule 1), so that a second delivery is
//! harmless and nothing acknowledged is ever lost.

use super::db::{Conn, Write, args};
use super::{Store, StoreFault, sql, write};
use crate::incident::decision::Input;
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

impl Store {
    /// Keeps an input. When this returns, it will be acted upon, whatever happens to this process.
    /// `false` means that the same `source` was received before.
    ///
    /// # Errors
    /// When the database fails; then the sender must not be told that it was received.
    pub async fn receive(&self, source: &str, target: Target, input: &Input, at: Instant) -> Result<bool, StoreFault> {
        let receive = Receive { source: source.to_owned(), target, input: input.clone(), at };
        let inserted = self.db.write(receive).await?;
        self.announce_arrival();
        Ok(inserted)
    }

    /// Whether it is this input that was received under this source, and no other. What was tidied up since counts as this.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn received_this(&self, source: &str, input: &Input) -> Result<bool, StoreFault> {
        let received = self.db.read_first(&sql::INPUT_OF, args![source]).await?;
        match received {
            Some(row) => Ok(row.text("input")? == write("input", input)?),
            None => Ok(true),
        }
    }
}

/// Somebody waits for this with a deadline: Slack for its acknowledgement.
struct Receive {
    source: String,
    target: Target,
    input: Input,
    at: Instant,
}

impl Write for Receive {
    type Out = bool;
    const URGENT: bool = true;

    fn is_single(&self) -> bool {
        true
    }

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        receive_in(conn, &self.source, &self.target, &self.input, self.at).await
    }
}

pub(super) async fn receive_in(
    conn: &mut Conn<'_>,
    source: &str,
    target: &Target,
    input: &Input,
    at: Instant,
) -> Result<bool, StoreFault> {
    let (incident, channel) =
        (target.incident.map(|id| id.0), target.channel.as_ref().map(|channel| channel.0.clone()));
    Ok(conn.run(&sql::RECEIVE, args![source, incident, channel, write("input", input)?, at.0]).await? == 1)
}
