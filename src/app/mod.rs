//! The composition root: the one place that names concrete things. Used by `main` and by the tests.
//!
//! It puts parts together and starts them. It may not decide anything, and nothing but `cli` and the tests may use it.

pub mod action;
pub mod doctor;
pub mod practice;
pub mod serve;
pub mod terminal;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::actions::{Actions, ActionsConfig, http};
use crate::clock::Clock;
use crate::comms::AudienceKind;
use crate::config::{Config, whole_environment};
use crate::engine::{Engine, Parts, Watch};
use crate::incident::rules::Rules;
use crate::incident::time::Millis;
use crate::paging::{self, Heartbeat};
use crate::render::Renderer;
use crate::slack::{Health, Inbound, Patience, Slack, SlackConfig, SlackFault, SocketDoor};
use crate::store::{Store, StoreFault};
use crate::web::{self, Gauges};

/// How long what is under way may take to finish when Vigie is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// How often the recorded figures are summed up.
const SUM_UP_EVERY: Duration = Duration::from_secs(60);

/// Why Vigie did not start. Each is a sentence with its cure.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The texts.
    #[error("the texts cannot be used: {0}")]
    Texts(#[from] crate::render::RenderFault),
    /// Slack's address or certificates.
    #[error(transparent)]
    SlackSetup(#[from] crate::slack::SlackSetupFault),
    /// Slack's answer to our tokens.
    #[error("Slack does not let Vigie in: {0}")]
    Slack(#[from] SlackFault),
    /// A room's part of the configuration.
    #[error("the configuration cannot be used: {0}")]
    Config(String),
    /// An address that cannot be listened on.
    #[error("{address} cannot be listened on: {why}. Is something else using it? Give another with --listen")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        why: std::io::Error,
    },
    /// A part of the practice workspace.
    #[error("the practice workspace did not start: {0}")]
    Practice(String),
}

/// Everything, put together and not yet running.
#[derive(Clone)]
pub struct Vigie {
    /// The store.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The team's rules.
    pub rules: Arc<Rules>,
    /// The texts.
    pub render: Arc<Renderer>,
    /// Slack.
    pub slack: Slack,
    /// How Slack's door is.
    pub health: Health,
    actions: Actions,
    engine: Engine,
    inbound: Inbound,
    door: Door,
}

/// What is the same whether Slack is there or not.
struct Rooms {
    render: Arc<Renderer>,
    rules: Arc<Rules>,
    comms: crate::comms::Comms,
    actions: Actions,
}

impl Rooms {
    fn build(
        mut rules: Rules,
        actions: ActionsConfig,
        comms: &crate::comms::CommsConfig,
        paging: &paging::PagingConfig,
        templates: Option<std::path::PathBuf>,
        secrets: &[secrecy::SecretString],
    ) -> Result<Self, StartFault> {
        let render = Arc::new(Renderer::load(templates.as_deref())?);
        let comms = comms.build(paging).map_err(listed)?;
        name_destinations(&mut rules, &comms);
        let client = http::client().map_err(|error| StartFault::Config(error.to_string()))?;
        let actions = Actions::new(actions, client, whole_environment(), secrets).map_err(listed)?;
        Ok(Self { render, rules: Arc::new(rules), comms, actions })
    }
}

/// How Slack reaches Vigie.
#[derive(Clone)]
enum Door {
    Socket,
    Http(secrecy::SecretString),
}

impl Vigie {
    /// Puts everything together: opens the store, compiles the texts, checks the tokens.
    ///
    /// # Errors
    /// A [`StartFault`] that names what is wrong and the cure.
    pub async fn assemble(
        config: Config,
        slack: &SlackConfig,
        database: &str,
        clock: Clock,
    ) -> Result<Self, StartFault> {
        install_crypto();
        let channels = paging::build(&config.paging).map_err(listed)?;
        let secrets: Vec<_> = [Some(&slack.bot_token), slack.app_token.as_ref(), slack.signing_secret.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let Rooms { render, rules, comms, actions } =
            Rooms::build(config.rules, config.actions, &config.comms, &config.paging, config.templates, &secrets)?;
        let outgoing = Slack::new(slack, clock.clone())?;
        match outgoing.check_tokens().await {
            Ok(_) => {}
            // A wrong token never comes right by itself. A Slack that is down does, and e-mail and calls work without it.
            Err(fault @ SlackFault::Permanent { .. }) => return Err(fault.into()),
            Err(fault) => tracing::warn!(%fault, "Slack does not answer yet; starting all the same"),
        }
        let store = Store::open(database).await?;
        let inbound =
            Inbound::new(store.clone(), clock.clone(), Arc::clone(&rules), Arc::clone(&render), outgoing.clone());
        let door = match (&slack.app_token, &slack.signing_secret) {
            (None, Some(secret)) => Door::Http(secret.clone()),
            _ => Door::Socket,
        };
        let health = Health::default();
        let engine = Engine::new(Parts {
            store: store.clone(),
            clock: clock.clone(),
            rules: Arc::clone(&rules),
            render: Arc::clone(&render),
            slack: Arc::new(outgoing.clone()),
            actions: actions.clone(),
            paging: channels,
            comms,
            watch: Watch {
                tell: config.watch.tell,
                heartbeat: config
                    .watch
                    .heartbeat
                    .as_ref()
                    .map(Heartbeat::new)
                    .transpose()
                    .map_err(StartFault::Config)?,
                canary: config.watch.canary,
                door: matches!(door, Door::Socket).then(|| health.clone()),
            },
        });
        Ok(Self { store, clock, rules, render, slack: outgoing, health, actions, engine, inbound, door })
    }

    /// What is asked over HTTP: health, figures and, without Socket Mode, Slack's own requests.
    pub fn routes(&self) -> axum::Router {
        let door = matches!(self.door, Door::Socket).then(|| self.health.clone());
        let gauges = Gauges {
            store: self.store.clone(),
            clock: self.clock.clone(),
            slack: self.slack.clone(),
            door,
            metrics: metrics(),
        };
        let routes = web::routes(gauges);
        match &self.door {
            Door::Socket => routes,
            Door::Http(secret) => {
                routes.merge(crate::slack::http::routes(self.inbound.clone(), secret.clone(), self.health.clone()))
            }
        }
    }

    /// Hears Slack and works, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let figures = keep_small(metrics(), stop.clone());
        tokio::join!(figures, self.hear_and_work(stop));
    }

    async fn hear_and_work(&self, stop: CancellationToken) {
        let engine = self.engine.run(stop.clone(), GRACE);
        match self.door {
            Door::Socket => {
                let door = SocketDoor::new(self.inbound.clone(), self.health.clone(), Patience::default());
                tokio::join!(engine, door.run(stop));
            }
            Door::Http(_) => engine.await,
        }
    }

    /// Moves the hands of the clock forward (practice and tests).
    ///
    /// # Errors
    /// When the store fails; the hands are not moved then.
    pub async fn advance(&self, by: Millis) -> Result<(), StoreFault> {
        self.store.clock_moved(by).await?;
        self.clock.advance(by);
        Ok(())
    }
}

/// Destinations are named `<audience>/<destination>`, so that each is delivered to, and fails, on its own.
pub(crate) fn name_destinations(rules: &mut Rules, comms: &crate::comms::Comms) {
    let of = |kind: AudienceKind| {
        let audiences = comms.audiences().filter(move |audience| audience.kind == kind);
        audiences
            .flat_map(|audience| audience.destinations.iter().map(|place| format!("{}/{}", audience.name, place.name)))
            .collect::<Vec<String>>()
    };
    rules.audiences.customer = of(AudienceKind::Customer);
    rules.audiences.internal = of(AudienceKind::Internal);
}

fn listed<T: std::fmt::Display>(faults: Vec<T>) -> StartFault {
    StartFault::Config(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// One TLS implementation for everybody; without it the first client would panic.
pub fn install_crypto() {
    // A second call finds it installed, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sums up what was recorded, until `stop`. The recorder keeps each sample until somebody asks for the figures, and nobody
/// may ever ask.
async fn keep_small(figures: PrometheusHandle, stop: CancellationToken) {
    let mut next = tokio::time::interval(SUM_UP_EVERY);
    next.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while stop.run_until_cancelled(next.tick()).await.is_some() {
        figures.run_upkeep();
    }
}

/// The process's one recorder of figures.
fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if let Err(error) = metrics::set_global_recorder(recorder) {
            tracing::warn!(%error, "figures are recorded by somebody else");
        }
        handle
    };
    HANDLE.get_or_init(install).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn figures_that_nobody_asks_for_are_summed_up() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let figures = recorder.handle();
        metrics::with_local_recorder(&recorder, || metrics::histogram!("vigie_slack_ack_seconds").record(0.1));
        // Asking for the figures would sum them up; only this shows what is there without doing so.
        let summed_up = || format!("{figures:?}").contains("Summary(");
        assert!(!summed_up());
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep_small(figures.clone(), stop.clone()));
        let waited = async {
            while !summed_up() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waited).await.expect("they are summed up");
        stop.cancel();
        keeping.await.expect("it ends with everything else");
    }
}
