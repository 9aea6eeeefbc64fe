//! `vigie serve` and `vigie practice`: what runs until it is told to stop.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::{Practice, Serve, files, print};
use crate::app::{practice, serve};
use crate::clock::Clock;
use crate::config::{Config, Env, environment, load};

/// Runs the bot in a real workspace until Ctrl-C or SIGTERM.
pub(super) async fn serve(args: &Serve) -> anyhow::Result<()> {
    let config = load(&args.config, &environment).map_err(anyhow::Error::from);
    let env = Env::read(&environment, &files).map_err(anyhow::Error::from);
    let (config, env): (Config, Env) = match (config, env) {
        (Ok(config), Ok(env)) => (config, env),
        // Both are told: nobody should have to start three times to learn of three faults.
        (Err(config), Err(env)) => return Err(anyhow::anyhow!("this cannot run yet\n{config}\n{env}")),
        (Err(fault), _) | (_, Err(fault)) => return Err(anyhow::anyhow!("this cannot run yet\n{fault}")),
    };
    write_log("info")?;
    for warning in &config.warnings {
        tracing::warn!("{}", warning.headline());
    }
    let listen = args.listen.unwrap_or(env.listen);
    serve::serve(config, env, listen, stop_on_signal()?).await?;
    Ok(())
}

/// Runs the practice workspace until Ctrl-C or SIGTERM.
pub(super) async fn practice(args: &Practice) -> anyhow::Result<()> {
    write_log("warn")?;
    let options = practice::Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        locale: args.lang.word().to_owned(),
        clock: Clock::system(),
        rate_limits: true,
        database: None,
        config: None,
        variables: BTreeMap::new(),
    };
    let open = args.open;
    let ready = move |setup: &practice::Setup| {
        let page = setup.page();
        let told =
            print(&format!("The practice workspace is open: {page}\nCtrl-C ends it and leaves nothing behind.\n"));
        if let Err(error) = told {
            tracing::warn!(%error, "the page's address could not be printed: {page}");
        }
        if open {
            open_in_browser(&page);
        }
    };
    practice::practice(options, ready, stop_on_signal()?).await?;
    Ok(())
}

/// It traces whole requests, and that of a connection to Slack holds the ticket for it.
const NO_TICKETS: &str = "tungstenite=info";

/// The log goes to standard error: `RUST_LOG` says how much (tracing's own words), `VIGIE_LOG=json` for machines.
fn write_log(usual: &str) -> anyhow::Result<()> {
    let wanted = environment("RUST_LOG").unwrap_or_else(|| usual.to_owned());
    let filter =
        EnvFilter::try_new(&wanted).context("RUST_LOG is not understood; write for example info or vigie=debug")?;
    let filter = filter.add_directive(NO_TICKETS.parse().context("a rule for the log is not understood")?);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match environment("VIGIE_LOG").as_deref() {
        Some("json") => log.json().try_init(),
        None | Some("text") => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Some(other) => return Err(anyhow::anyhow!("VIGIE_LOG is “{other}”; write json or text, or leave it unset")),
    };
    done.map_err(|error| anyhow::anyhow!("the log could not be opened: {error}"))
}

/// Cancelled by Ctrl-C or SIGTERM.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be listened for")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        told.cancel();
    });
    Ok(stop)
}

/// Asks the desktop to show the page; where there is none, the address was printed.
fn open_in_browser(page: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let asked = std::process::Command::new(opener)
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = asked {
        tracing::warn!(%error, "the browser could not be opened; open {page} yourself");
    }
}
