//! `vigie action` and `vigie say`: runbook actions, and every other command, from a terminal.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use secrecy::ExposeSecret as _;

use super::{ActionFiles, ActionList, ActionPlan, ActionRun, Rbac, Say, files as named_files, incidents, print};
use crate::app::action;
use crate::app::terminal::Terminal;
use crate::clock::Clock;
use crate::config::{Env, environment, load};
use crate::incident::command::{line_of, quote};

/// Prints the roles that the configuration makes necessary.
pub(super) fn rbac(args: &Rbac) -> anyhow::Result<()> {
    let config = load(&args.config, &environment)?;
    let manifest = action::rbac(&config, args.cluster.as_deref(), &args.subject);
    print(&manifest.map_err(|why| anyhow!(why))?)
}

/// Prints the actions.
pub(super) fn list(args: &ActionList) -> anyhow::Result<()> {
    print(&action::list(&load(&args.config, &environment)?))
}

/// Prints the plan of an action.
pub(super) async fn plan(args: &ActionPlan) -> anyhow::Result<()> {
    let config = load(&args.config, &environment)?;
    let plan = action::plan(config, &args.action, args.to.as_deref(), args.json).await;
    print(&format!("{}\n", plan.map_err(|why| anyhow!(why))?))
}

/// Has an action planned in an incident.
pub(super) async fn run(args: &ActionRun) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    let place = match (&args.start, args.incident) {
        (Some(start), _) => {
            lines.push(format!("start {start}"));
            String::new()
        }
        (None, Some(incident)) => format!(" --in {incident}"),
        (None, None) => String::new(),
    };
    let to = args.to.as_deref().map(|to| format!(" --to {}", quote(to))).unwrap_or_default();
    let dry_run = if args.dry_run { " --dry-run" } else { "" };
    lines.push(format!("run{place} {}{to}{dry_run}", args.action));
    say_all(&args.config, &lines).await
}

/// Says one line.
pub(super) async fn say(args: &Say) -> anyhow::Result<()> {
    say_all(&args.config, &[line_of(&args.line)]).await
}

async fn say_all(config: &Path, lines: &[String]) -> anyhow::Result<()> {
    let config = load(config, &environment)?;
    let url = Env::database(&environment, &named_files)?;
    let account = account()?;
    let terminal = Terminal::open(config, url.expose_secret(), Clock::system()).await;
    let terminal = terminal.map_err(|fault| {
        anyhow!("{fault}. While vigie serve has a SQLite file, type in Slack; when Slack is down, stop it first")
    })?;
    let mut result = Ok(());
    for line in lines {
        if result.is_ok() {
            let mut told = Ok(());
            let mut tell = |said: &str| told = print(&format!("{said}\n"));
            let said = terminal.say(&account, line, &mut tell).await;
            result = told.and(said.map_err(anyhow::Error::from));
        }
    }
    terminal.close().await;
    result
}

/// The name of the account that this runs under, as the system itself tells it: the environment says whatever it is told.
fn account() -> anyhow::Result<String> {
    let (own, _other) = tokio::net::UnixStream::pair().context("the account could not be asked for")?;
    let number = own.peer_cred().context("the account could not be asked for")?.uid().to_string();
    let known = std::fs::read_to_string("/etc/passwd").context("the accounts could not be read")?;
    let fields = known.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut named = fields.filter(|fields| fields.get(2) == Some(&number.as_str()));
    let name = named.next().and_then(|fields| fields.first().map(|name| (*name).to_owned()));
    Ok(name.unwrap_or(number))
}

/// Prints what was kept of the state before a run.
pub(super) async fn files(args: &ActionFiles) -> anyhow::Result<()> {
    let store = incidents::open().await?;
    let incident = store.incident(args.run.incident).await?;
    let run = incident.as_ref().and_then(|incident| incident.runs.get(&args.run));
    let run = run.ok_or_else(|| anyhow!("there is no run {}", args.run))?;
    let kept = run.kept.as_ref().map(|kept| kept.files.as_slice()).unwrap_or_default();
    if kept.is_empty() {
        return Err(anyhow!("nothing was kept of the state before {}", args.run));
    }
    for file in kept {
        let content = store.kept_file(args.run, &file.sha256).await?;
        let content = content.ok_or_else(|| anyhow!("the content of {} is not in the database", file.name))?;
        print(&format!("# {}\n{content}\n", file.name))?;
    }
    Ok(())
}
