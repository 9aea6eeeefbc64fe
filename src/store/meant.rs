//! Which incident is meant: the one named, the channel's, or the only open one. Asked in the same way before a dialog is
//! opened and when a line is decided upon.

use sqlx::{Row, SqliteConnection};

use super::inbox::Target;
use super::{Store, StoreFault, read};
use crate::incident::absent::Absent;
use crate::incident::state::Incident;

impl Store {
    /// The incident that a command is for, or why there is none.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn meant(&self, target: &Target) -> Result<Result<Incident, Absent>, StoreFault> {
        let mut connection = self.reader.acquire().await?;
        meant(&mut connection, target).await
    }
}

pub(super) async fn meant(
    connection: &mut SqliteConnection,
    target: &Target,
) -> Result<Result<Incident, Absent>, StoreFault> {
    const OPEN: &str = "SELECT state FROM incident WHERE status IN ('triggered', 'acknowledged', 'mitigated') \
         ORDER BY rank, id";
    if let Some(id) = target.incident {
        return Ok(named(connection, target).await?.ok_or(Absent::Unknown(id)));
    }
    if let Some(channel) = &target.channel {
        let query = sqlx::query("SELECT state FROM incident WHERE channel = $1").bind(channel.0.clone());
        if let Some(row) = query.fetch_optional(&mut *connection).await? {
            return read("incident", row.get("state")).map(Ok);
        }
    }
    let rows = sqlx::query(OPEN).fetch_all(&mut *connection).await?;
    let open = rows.iter().map(|row| read("incident", row.get("state")));
    let mut open: Vec<Incident> = open.collect::<Result<_, _>>()?;
    Ok(match open.len() {
        0 => Err(Absent::NoneOpen),
        1 => Ok(open.remove(0)),
        _ => Err(Absent::Several(open.into_iter().map(|incident| (incident.id, incident.title)).collect())),
    })
}

/// The incident that is named, if it exists.
pub(super) async fn named(connection: &mut SqliteConnection, target: &Target) -> Result<Option<Incident>, StoreFault> {
    let Some(id) = target.incident else { return Ok(None) };
    let query = sqlx::query("SELECT state FROM incident WHERE id = $1").bind(id.0);
    let row = query.fetch_optional(&mut *connection).await?;
    row.map(|row| read("incident", row.get("state"))).transpose()
}
