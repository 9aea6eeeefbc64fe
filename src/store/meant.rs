//! Which incident is meant: the one named, the channel's, or the only open one. Asked in the same way before a dialog is
//! opened and when a line is decided upon.

use super::db::{Conn, args};
use super::inbox::Target;
use super::{Store, StoreFault, incident_of, readable, sql};
use crate::incident::absent::Absent;
use crate::incident::state::Incident;

impl Store {
    /// The incident that a command is for, or why there is none.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn meant(&self, target: &Target) -> Result<Result<Incident, Absent>, StoreFault> {
        let mut reading = self.db.reading().await?;
        let meant = meant(&mut reading.conn()?, target, For::Reading).await;
        reading.end(meant)
    }
}

/// What an incident is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// It is kept from other decisions until this one is committed.
    Deciding,
    /// Whoever decides upon it meanwhile is not waited for.
    Reading,
}

/// The incident that a command is for.
pub(super) async fn meant(
    conn: &mut Conn<'_>,
    target: &Target,
    what_for: For,
) -> Result<Result<Incident, Absent>, StoreFault> {
    if let Some(id) = target.incident {
        return Ok(named(conn, target, what_for).await?.ok_or(Absent::Unknown(id)));
    }
    let in_channel = match what_for {
        For::Deciding => &sql::INCIDENT_IN_TO_CHANGE,
        For::Reading => &sql::INCIDENT_IN,
    };
    if let Some(channel) = &target.channel
        && let Some(row) = conn.first(in_channel, args![channel.0.as_str()]).await?
    {
        return incident_of(&row).map(Ok);
    }
    let rows = conn.rows(&sql::OPEN_TO_NAME, args![]).await?;
    let mut open = readable(&rows);
    Ok(match open.len() {
        0 => Err(Absent::NoneOpen),
        1 => {
            // Read again under its lock: it may have changed since.
            let only = open.remove(0);
            let only = named(conn, &Target::incident(only.id), what_for).await?;
            only.ok_or(Absent::NoneOpen)
        }
        _ => Err(Absent::Several(open.into_iter().map(|incident| (incident.id, incident.title)).collect())),
    })
}

/// The incident that is named, if it exists.
pub(super) async fn named(conn: &mut Conn<'_>, target: &Target, what_for: For) -> Result<Option<Incident>, StoreFault> {
    let Some(id) = target.incident else { return Ok(None) };
    let statement = match what_for {
        For::Deciding => &sql::INCIDENT_TO_CHANGE,
        For::Reading => &sql::INCIDENT,
    };
    let row = conn.first(statement, args![id.0]).await?;
    row.as_ref().map(incident_of).transpose()
}
