//! `vigie backup`, `vigie restore`, `vigie resume`: a copy of everything, and the way back.

use anyhow::anyhow;
use secrecy::ExposeSecret as _;

use super::{Backup, Restore, files, incidents, print};
use crate::clock::Clock;
use crate::config::{Env, environment};
use crate::store::{Copied, Store};

/// Copies the database into a file; the bot may run meanwhile.
pub(super) async fn backup(args: &Backup) -> anyhow::Result<()> {
    let store = incidents::open().await?;
    let copied = store.backup(&args.file).await.map_err(|fault| anyhow!("no backup was made: {fault}"))?;
    print(&format!("{} holds {} and was checked.\n", args.file.display(), counted(copied)))
}

/// Fills an empty database from a backup.
pub(super) async fn restore(args: &Restore) -> anyhow::Result<()> {
    let store = open().await?;
    let restored = store.restore(&args.file, Clock::system().now()).await;
    let copied = restored.map_err(|fault| anyhow!("nothing was restored: {fault}"))?;
    store.close().await;
    let mut text = format!("Restored {}.\n", counted(copied));
    if copied.executions > 0 {
        text += &format!(
            "{} execution(s) were under way when the backup was made. They are marked unknown: look at what they act on.\n",
            copied.executions
        );
    }
    text += &format!(
        "Vigie does nothing on this database yet. {} effect(s) wait and will be done when you type: vigie resume\n",
        copied.waiting
    );
    print(&text)
}

/// Lets the engine go on after a restore.
pub(super) async fn resume() -> anyhow::Result<()> {
    let store = open().await?;
    if !store.is_paused().await? {
        return print("Vigie is not paused on this database; there is nothing to do.\n");
    }
    store.resume().await?;
    store.close().await;
    print("Vigie goes on with this database as soon as vigie serve runs.\n")
}

async fn open() -> anyhow::Result<Store> {
    let url = Env::database(&environment, &files)?;
    Store::open(url.expose_secret()).await.map_err(|fault| anyhow!("the database could not be opened: {fault}"))
}

fn counted(copied: Copied) -> String {
    format!("{} incident(s) with {} timeline entries", copied.incidents, copied.entries)
}
