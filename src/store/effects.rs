//! What a transaction puts into the outbox: gathered while it decides, and put there at its end, many in one statement.
//!
//! A Home is the one queue that incidents share. Homes are touched last and in one order, so that two transactions for
//! the same people never wait for each other in a circle.

use std::collections::BTreeSet;

use super::db::{Arg, Args, Conn, args};
use super::{StoreFault, sql, write};
use crate::incident::decision::Effect;
use crate::incident::id::IncidentId;
use crate::incident::time::Instant;

/// So many are put there by one statement: as many rows as `INSERT_EFFECTS` has.
const ROWS: usize = 8;

/// The effects of a transaction.
#[derive(Default)]
pub(super) struct Effects {
    rows: Vec<New>,
    /// What is there already, by queue and fold: what is shown is read when it is sent, so one copy says it.
    folds: BTreeSet<(String, String)>,
    answers: Vec<Args>,
}

/// A row of the outbox.
struct New {
    is_home: bool,
    incident: Option<i64>,
    lane: &'static str,
    queue: String,
    fold: Option<String>,
    effect: String,
    at: Instant,
}

impl New {
    fn of(at: Instant, incident: Option<IncidentId>, effect: &Effect) -> Result<Self, StoreFault> {
        Ok(Self {
            is_home: matches!(effect, Effect::Home { .. }),
            incident: incident.map(|id| id.0),
            lane: effect.lane().word(),
            queue: effect.queue(incident),
            fold: effect.fold_key(),
            effect: write("effect", effect)?,
            at,
        })
    }

    fn place(&self) -> Option<&str> {
        self.is_home.then_some(&self.queue)
    }

    fn values(self) -> [Arg; 6] {
        let Self { incident, lane, queue, fold, effect, at, .. } = self;
        [incident.into(), lane.into(), queue.into(), fold.into(), effect.into(), at.0.into()]
    }
}

impl Effects {
    /// Those of one decision: all of them, or none when one cannot be written.
    pub fn add(&mut self, at: Instant, incident: Option<IncidentId>, effects: &[Effect]) -> Result<(), StoreFault> {
        let (mut rows, mut answers) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect.answer() {
                Some((ask, words)) => answers.push(args![ask, write("answer", &words)?, at.0]),
                None => rows.push(New::of(at, incident, effect)?),
            }
        }
        self.answers.extend(answers);
        for row in rows {
            if row.fold.as_ref().is_none_or(|fold| self.folds.insert((row.queue.clone(), fold.clone()))) {
                self.rows.push(row);
            }
        }
        Ok(())
    }

    /// Puts them where they wait, in the order in which they were added.
    pub async fn insert(mut self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        for answer in self.answers {
            conn.run(&sql::ANSWER, answer).await?;
        }
        self.rows.sort_by(|one, other| one.place().cmp(&other.place()));
        let mut rows = self.rows.into_iter().map(New::values).peekable();
        while rows.peek().is_some() {
            let mut some: Vec<_> = rows.by_ref().take(ROWS).collect();
            let statement = if some.len() == 1 { &sql::INSERT_EFFECT } else { &sql::INSERT_EFFECTS };
            if some.len() > 1 {
                some.resize_with(ROWS, no_row);
            }
            conn.run(statement, Args::of(some.into_iter().flatten().collect())).await?;
        }
        Ok(())
    }
}

/// Fills a place of a statement that has more than there are rows.
fn no_row() -> [Arg; 6] {
    [Arg::Int(None), Arg::Text(None), Arg::Text(None), Arg::Text(None), Arg::Text(None), Arg::Int(None)]
}
