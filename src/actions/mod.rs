//! Looking at the team's systems and changing them: plan, execute, check, verify, diagnose.
//!
//! A *provider* knows one kind of system ([`provider::ActionProvider`]): it plans by reading only, executes exactly
//! what was planned, and can look afterwards whether something happened. A *check* looks at one figure and judges it
//! ([`check::Check`]). [`Actions`] is the room's face: it makes whole plans, runs approved ones step by step, and
//! asks all of a service's checks at once.
//!
//! What this room may not do: decide who may do what (that is `incident`), write to the store (every result goes out
//! as an [`crate::incident::decision::Report`] through a callback and is committed before the next step), speak to
//! Slack, read the environment or a wall clock. It talks to the real world, so it may wait with deadlines; the one
//! place that does is `stopwatch`.
//!
//! A new provider is one file here and one line in the table of `provider.rs`; a new check is one file in `check/`
//! and one line in the table of `check/mod.rs`.
//!
//! Secrets live in [`secrecy::SecretString`] fields of the configuration, never in a plan; everything that leaves
//! the room as text has passed [`redact::Redactor`].

mod api;
pub mod check;
pub mod command;
pub mod compose;
pub mod config;
mod diagnose;
mod disk;
pub mod ecs;
pub mod env_file;
pub mod git;
pub mod github;
pub mod http;
pub mod http_call;
pub mod http_switch;
pub mod json;
mod keep;
pub mod kubernetes;
pub mod length;
mod lever;
pub mod migration;
mod mirrors;
pub mod netlify;
mod plan;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod redact;
mod run;
mod stopwatch;
mod template;
#[cfg(test)]
pub(crate) mod toy;
pub mod vercel;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

pub use config::{ActionsConfig, ConfigFault};
pub use keep::{State, StateFile};
pub use provider::PlanFault;
pub use redact::Redactor;
pub use run::{Execution, NotCommitted};
#[cfg(test)]
pub(crate) use stopwatch::leaps;

/// What providers and checks reach the world with.
#[derive(Debug)]
pub struct World {
    /// The client for every HTTP request; see [`http::client`].
    pub http: reqwest::Client,
    /// The clusters, each reached when it is first needed.
    pub clusters: kubernetes::Clusters,
    /// Who we are at AWS, found out when it is first needed.
    pub aws: ecs::Sessions,
    /// How each database is reached.
    pub databases: postgres::Databases,
    /// Vigie's own environment, of which programs get only what is allowed by name.
    pub environment: BTreeMap<String, String>,
    /// Takes secrets out of everything that is shown.
    pub redactor: Redactor,
}

/// The team's runbook actions and checks, ready to use. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Actions {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ActionsConfig,
    world: Arc<World>,
}

impl Actions {
    /// Makes the room from its configuration.
    ///
    /// `http` should come from [`http::client`]; `environment` is what programs may be given parts of; `secrets` are
    /// credentials of other rooms that must never show up in a program's output either.
    ///
    /// # Errors
    /// Every fault of the configuration at once, each with its place and its cure.
    pub fn new(
        config: ActionsConfig,
        http: reqwest::Client,
        environment: BTreeMap<String, String>,
        secrets: &[SecretString],
    ) -> Result<Self, Vec<ConfigFault>> {
        let faults = config.validate();
        if !faults.is_empty() {
            return Err(faults);
        }
        let own = config.secrets();
        let redactor = Redactor::new(own.iter().chain(secrets));
        let clusters = kubernetes::Clusters::new(&config.clusters, &environment);
        let databases = postgres::Databases::new(&config.databases);
        let world = Arc::new(World { http, clusters, databases, aws: ecs::Sessions::default(), environment, redactor });
        Ok(Self { inner: Arc::new(Inner { config, world }) })
    }

    /// The redactor that knows every secret of this room's configuration.
    pub fn redactor(&self) -> &Redactor {
        &self.inner.world.redactor
    }
}
