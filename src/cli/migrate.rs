//! `vigie migrate`: brings the database's schema up to date and shows that this version understands it.

use secrecy::ExposeSecret as _;

use super::{files, print};
use crate::config::{Env, environment};
use crate::store::Store;

/// Migrates, then has every statement understood by the database.
pub(super) async fn migrate() -> anyhow::Result<()> {
    let url = Env::database(&environment, &files)?;
    let store = Store::open(url.expose_secret()).await?;
    let understood = store.prepare_all().await;
    store.close().await;
    understood?;
    print("The database is up to date: it understands everything that this version asks of it.\n")
}
