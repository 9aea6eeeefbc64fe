//! Two releases on one database: the newer one has the work, the older one keeps what comes in for it.
//!
//! An older release may not understand what a newer one keeps, or would lose a part of it when it writes an incident back. So
//! the database bears the number of the newest release that opened it, and every statement that looks for work or takes it
//! looks at that number, too. An older process goes on with what it has begun, and acknowledges what comes in.
//!
//! The number is raised with a change after which the release before could not read what is kept, and with no other: then
//! two releases share the work, and one can go back to the older.

use super::db::{Conn, Db, Write, args};
use super::{Store, StoreFault, sql};

/// Where the number is kept.
pub(super) const NAME: &str = "release";

/// Takes the database over from an older release, if one has it, and returns when that one takes no more work.
pub(super) async fn take_over(db: &Db) -> Result<(), StoreFault> {
    if check(kept(db).await?)? == Some(sql::RELEASE) {
        return Ok(());
    }
    db.write(Raise).await?;
    db.write(Await).await
}

/// What is copied is all there is: an older release would leave out what it does not know.
pub(super) async fn check_source(db: &Db) -> Result<(), StoreFault> {
    check(kept(db).await?)?;
    Ok(())
}

async fn kept(db: &Db) -> Result<Option<i64>, StoreFault> {
    db.read_first(&sql::NUMBER, args![NAME]).await?.map(|row| row.int("value")).transpose()
}

/// The number that a copy bears is one that this release knows.
pub(super) async fn check_copy(copy: &mut Conn<'_>) -> Result<(), StoreFault> {
    let found = copy.first(&sql::NUMBER, args![NAME]).await?.map(|row| row.int("value")).transpose()?;
    if check(found)?.is_none() {
        return Err(StoreFault::Backup("this is no whole backup: it was cut off while it was made".to_owned()));
    }
    Ok(())
}

fn check(found: Option<i64>) -> Result<Option<i64>, StoreFault> {
    match found {
        Some(newer) if newer > sql::RELEASE => Err(StoreFault::Newer { found: newer, known: sql::RELEASE }),
        known => Ok(known),
    }
}

impl Store {
    /// A newer release has the database: this process takes no more work.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_a_newer(&self) -> Result<bool, StoreFault> {
        Ok(self.number(NAME).await?.is_some_and(|found| found > sql::RELEASE))
    }
}

pub(super) struct Raise;

impl Write for Raise {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::RAISE_NUMBER, args![NAME, sql::RELEASE]).await?;
        Ok(())
    }
}

/// Whoever took something in hand before the number was raised has it under a lock until it is committed.
struct Await;

impl Write for Await {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.rows(&sql::INPUTS_IN_HAND, args![]).await?;
        conn.rows(&sql::WAKES_IN_HAND, args![]).await?;
        Ok(())
    }
}
