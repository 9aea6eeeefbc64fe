//! `vigie serve`: the bot in a real workspace.

use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{StartFault, Vigie};
use crate::clock::Clock;
use crate::config::{Config, Env, SlackDoor};
use crate::slack::SlackConfig;

/// How long answers over HTTP may take once everything else has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Starts and works until `stop`.
///
/// # Errors
/// A [`StartFault`] when it cannot start.
pub async fn serve(config: Config, env: Env, listen: SocketAddr, stop: CancellationToken) -> Result<(), StartFault> {
    let unusable = |why| StartFault::Listen { address: listen.to_string(), why };
    let listener = TcpListener::bind(listen).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let slack = slack_config(&env);
    let vigie = Vigie::assemble(config, &slack, env.database_url.expose_secret(), Clock::system()).await?;
    let workspace = vigie.slack.known_identity().map_or("not reached yet", |identity| identity.team_name.as_str());
    tracing::info!(workspace, listen = %address, "on the look-out");
    let routes = vigie.routes();
    let web = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    // Beside everything else: a whole repository does not fit into the time of a plan.
    let actions = vigie.actions.clone();
    let fetching = tokio::spawn(async move { actions.fetch_mirrors().await });
    let (mut web, mut work) = (pin!(web.into_future()), pin!(vigie.run(stop)));
    let served = tokio::select! {
        served = &mut web => {
            work.await;
            served
        }
        // Whoever has not finished asking by now does not hold up the end.
        () = &mut work => tokio::time::timeout(LAST_ANSWERS, web).await.unwrap_or(Ok(())),
    };
    fetching.abort();
    vigie.store.close().await;
    served.map_err(unusable)
}

/// What the Slack room needs of the environment.
pub(super) fn slack_config(env: &Env) -> SlackConfig {
    let (app_token, signing_secret) = match &env.door {
        SlackDoor::Socket { app_token } => (Some(app_token.clone()), None),
        SlackDoor::Http { signing_secret } => (None, Some(signing_secret.clone())),
    };
    SlackConfig { bot_token: env.bot_token.clone(), app_token, signing_secret, api_url: env.slack_api_url.clone() }
}
