//! What can never be decided upon is put aside, so that nobody waits for it: in a transaction of its own, for nothing is left of
//! the one that failed. People are told of it by the watch, which counts what was put aside.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::commit::{answer, put_aside};
use super::db::{Conn, Write, args};
use super::effects::Effects;
use super::{Store, StoreFault, read, sql, write};
use crate::incident::decision::Input;
use crate::incident::time::{Instant, Millis};

/// An incident that could not be woken is tried again after this long.
pub(super) const WAKE_AGAIN: Millis = Millis::minutes(1);

/// What a transaction had in hand when it failed: the place of an input, or the number of an incident. Each run of the
/// transaction says it anew.
#[derive(Debug, Clone, Default)]
pub(super) struct InHand(Arc<AtomicI64>);

impl InHand {
    pub fn is(&self, number: i64) {
        self.0.store(number, Ordering::SeqCst);
    }

    fn number(&self) -> Option<i64> {
        Some(self.0.load(Ordering::SeqCst)).filter(|number| *number > 0)
    }
}

impl StoreFault {
    /// The same change fails again, however often it is tried and however well the database is: it is too large, breaks a
    /// rule of the schema, cannot be read, or meets a defect. All else passes, or is no fault of this change.
    pub(super) fn is_for_good(&self) -> bool {
        match self {
            StoreFault::Unreadable { .. } | StoreFault::Defect { .. } => true,
            StoreFault::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| refuses_postgres(&code) || refuses_sqlite(&code))
            }
            _ => false,
        }
    }
}

impl StoreFault {
    /// It is the database that failed, and not what was asked of it: once it is well, the same may succeed.
    pub fn may_pass(&self) -> bool {
        use sqlx::Error::{Database, Io, PoolTimedOut, Protocol, Tls, WorkerCrashed};
        match self {
            StoreFault::Database(Io(_) | PoolTimedOut | Protocol(_) | Tls(_) | WorkerCrashed) => true,
            StoreFault::Database(Database(_)) => !self.is_for_good(),
            _ => false,
        }
    }

    /// What was asked may have been done: the answer was lost, or never came.
    pub(super) fn leaves_in_doubt(&self) -> bool {
        use sqlx::Error::{Io, Protocol, WorkerCrashed};
        match self {
            StoreFault::Database(Io(error)) => error.kind() != ErrorKind::ConnectionRefused,
            StoreFault::Database(Protocol(_) | WorkerCrashed) => true,
            _ => false,
        }
    }
}

/// Data that does not fit (22, but for 22P03, which is of the connection), a rule of the schema (23), a limit of the
/// program (54), a page of the disk that is damaged. Of these 23505 was repeated before, see `postgres.rs`.
fn refuses_postgres(code: &str) -> bool {
    let class = code.get(..2).filter(|_| code.len() == 5 && code != "22P03");
    class.is_some_and(|class| ["22", "23", "54"].contains(&class)) || ["XX001", "XX002"].contains(&code)
}

/// `SQLITE_CORRUPT` (a page of the file that is damaged), `SQLITE_TOOBIG`, `SQLITE_CONSTRAINT`, `SQLITE_MISMATCH`: the lowest
/// eight bits of the code tell.
fn refuses_sqlite(code: &str) -> bool {
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| [11, 18, 19, 20].contains(&(code & 0xff)))
}

impl Store {
    /// Puts the input aside that was in hand. Whoever has decided upon it meanwhile is believed.
    pub(super) async fn put_input_aside(&self, in_hand: &InHand, fault: StoreFault) -> Result<(), StoreFault> {
        let Some(position) = in_hand.number() else { return Err(fault) };
        tracing::error!(%fault, position, "an input is put aside");
        if !self.db.write(PutInputAside { position, fault: fault.to_string() }).await? {
            return Ok(());
        }
        // By itself, for the answer may be what is refused.
        self.db.write(TellAside { position }).await.unwrap_or_else(|fault| {
            tracing::error!(%fault, position, "whoever said it could not be told that it was put aside");
        });
        Ok(())
    }

    /// Lets the incident that was in hand be woken later, and keeps beside the inputs that were put aside that it could not be.
    pub(super) async fn put_wake_aside(
        &self,
        in_hand: &InHand,
        fault: StoreFault,
        now: Instant,
    ) -> Result<(), StoreFault> {
        let Some(incident) = in_hand.number() else { return Err(fault) };
        tracing::error!(%fault, incident, "an incident could not be woken; it is tried again");
        self.db.write(PutWakeAside { incident, fault: fault.to_string(), now }).await
    }
}

struct PutInputAside {
    position: i64,
    fault: String,
}

impl Write for PutInputAside {
    type Out = bool;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        Ok(conn.run(&sql::PUT_INPUT_ASIDE, args![self.position, self.fault.as_str()]).await? == 1)
    }
}

struct TellAside {
    position: i64,
}

impl Write for TellAside {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        let Some(row) = conn.first(&sql::INPUT_AT, args![self.position]).await? else { return Ok(()) };
        let input: Input = read("input", row.text("input")?)?;
        let mut effects = Effects::default();
        answer(&mut effects, Instant(row.int("arrived_at")?), &input, &put_aside())?;
        effects.insert(conn).await
    }
}

pub(super) struct PutWakeAside {
    pub incident: i64,
    pub fault: String,
    pub now: Instant,
}

impl Write for PutWakeAside {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        let (incident, now) = (self.incident, self.now);
        conn.run(&sql::WAKE_LATER, args![incident, (now + WAKE_AGAIN).0, now.0]).await?;
        let wake = write("input", &Input::Wake)?;
        conn.run(&sql::PUT_WAKE_ASIDE, args![incident, wake, self.fault.as_str(), now.0]).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_never_does() {
        for code in ["22021", "23505", "23514", "54000", "XX002"] {
            assert!(refuses_postgres(code) && !refuses_sqlite(code), "{code}");
        }
        // Collisions, a server that stops, a disk that is full, a statement that took too long: of the database, not of the input.
        for code in ["08006", "22P03", "25P03", "40001", "40P01", "42P01", "53100", "55P03", "57014", "57P01", "XX000"]
        {
            assert!(!refuses_postgres(code) && !refuses_sqlite(code), "{code}");
        }
        for (code, refuses) in [
            ("11", true),
            ("523", true),
            ("18", true),
            ("2067", true),
            ("787", true),
            ("20", true),
            ("5", false),
            ("13", false),
        ] {
            assert_eq!(refuses_sqlite(code), refuses, "{code}");
            assert!(!refuses_postgres(code), "{code}");
        }
    }
}
