//! What can never be decided upon is put aside, so that nobody waits for it: in a transaction of its own, for nothing is left of
//! the one that failed. People are told of it by the watch, which counts what was put aside.

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
