//! What became of a program of ours, as the server tells it: a program that is ended leaves a connection there that may go
//! on, and one that seems to have failed may have come to its end.

use std::time::Duration;

use super::databases::DatabaseConfig;
use super::server::{self, Trouble};
use crate::actions::stopwatch::Patience;
use crate::incident::words::Words;

/// How long a connection that is told to end may take, and a server that starts again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long somebody's late beginning is waited for: they lost their owner just before they reached the server.
const LATE: Duration = Duration::from_secs(2);
/// One look.
const LOOK: Duration = Duration::from_secs(5);

/// Ends what a step's own programs still do at the server, and returns when nothing of it can come any more.
pub(super) async fn ended(config: &DatabaseConfig, mark: &str) -> Result<(), Words> {
    let patience = Patience::new(PATIENCE);
    loop {
        let seen = match server::end_own(config, mark, LOOK).await {
            Ok(()) => server::running(config, mark, LOOK).await,
            Err(trouble) => Err(trouble),
        };
        match seen {
            Ok(0) => return Ok(()),
            Ok(_) if patience.is_over() => return Err(Words::new("postgres.still_running")),
            Err(trouble) if patience.is_over() => return Err(trouble.words()),
            Ok(_) | Err(_) => patience.pause().await,
        }
    }
}

/// Waits for a step's own programs to come to their end by themselves; whether they did in this time.
pub(super) async fn over_by_itself(config: &DatabaseConfig, mark: &str, within: Duration) -> Result<bool, Words> {
    let patience = Patience::new(within);
    loop {
        match server::running(config, mark, LOOK).await {
            Ok(0) => return Ok(true),
            Ok(_) if patience.is_over() => return Ok(false),
            Err(trouble) if patience.is_over() => return Err(trouble.words()),
            Ok(_) | Err(_) => patience.pause().await,
        }
    }
}

/// Whether a step's own program is at work. One that lost its owner right before it reached the server is waited for, and
/// so is a server that starts again.
pub(super) async fn is_at_work(config: &DatabaseConfig, mark: &str) -> Result<bool, Words> {
    let (late, patience) = (Patience::new(LATE), Patience::new(PATIENCE));
    loop {
        match server::running(config, mark, LOOK).await {
            Ok(0) if late.is_over() => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
            Err(Trouble::Unreachable(_) | Trouble::Slow(_)) if !patience.is_over() => {}
            Err(trouble) => return Err(trouble.words()),
        }
        late.pause().await;
    }
}

/// The comment of a database, if there is one; a server that starts again gets the time for it.
pub(super) async fn comment_of(config: &DatabaseConfig, database: &str) -> Result<Option<String>, Words> {
    let patience = Patience::new(PATIENCE);
    loop {
        match server::comment_of(config, database, LOOK).await {
            Ok(comment) => return Ok(comment),
            Err(Trouble::Unreachable(_) | Trouble::Slow(_)) if !patience.is_over() => patience.pause().await,
            Err(trouble) => return Err(trouble.words()),
        }
    }
}
