//! `vigie serve`: the bot in a real workspace.

use std::net::SocketAddr;

use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{StartFault, Vigie};
use crate::clock::Clock;
use crate::config::{Config, Env, SlackDoor};
use crate::slack::SlackConfig;

/// Starts and works until `stop`.
///
/// # Errors
/// A [`StartFault`] when it cannot start.
pub async fn serve(config: Config, env: Env, listen: SocketAddr, stop: CancellationToken) -> Result<(), StartFault> {
    let slack = slack_config(&env);
    let vigie = Vigie::assemble(config, &slack, env.database_url.expose_secret(), Clock::system()).await?;
    let workspace =
        vigie.slack.identity().await.map_or_else(|_| "not reached yet".to_owned(), |identity| identity.team_name);
    let address = listen.to_string();
    let listener = TcpListener::bind(listen).await.map_err(|why| StartFault::Listen { address, why })?;
    tracing::info!(workspace, listen = %listen, "on the look-out");
    let routes = vigie.routes();
    let web = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    let (served, ()) = tokio::join!(web, vigie.run(stop));
    vigie.store.close().await;
    served.map_err(|why| StartFault::Listen { address: listen.to_string(), why })
}

/// What the Slack room needs of the environment.
pub(super) fn slack_config(env: &Env) -> SlackConfig {
    let (app_token, signing_secret) = match &env.door {
        SlackDoor::Socket { app_token } => (Some(app_token.clone()), None),
        SlackDoor::Http { signing_secret } => (None, Some(signing_secret.clone())),
    };
    SlackConfig { bot_token: env.bot_token.clone(), app_token, signing_secret, api_url: env.slack_api_url.clone() }
}
