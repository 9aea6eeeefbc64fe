//! The clusters of the configuration, and a client for each, made when it is first needed.
//!
//! The client is put together here and not by kube, whose own one repeats every request by itself, changes too, takes
//! its proxy from the environment, and lets a small request wait for more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, Client, ConfigExt as _};
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::super::config::{ConfigFault, fault};
use super::super::length;
use super::super::stopwatch::within;
use crate::incident::time::Millis;
use crate::incident::words::Words;

/// How long making a client may take; a program that fetches credentials is part of it.
const CONNECT: Duration = Duration::from_secs(30);

/// What a program that fetches credentials gets of our environment without being named.
const ALWAYS_PASSED: &[&str] = &["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_CACHE_HOME"];

/// How a cluster is reached.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterConfig {
    /// The whole path of the kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// Vigie runs in the cluster itself and uses its service account.
    #[serde(default)]
    pub in_cluster: bool,
    /// Which context of the file; its current one when it is not said.
    pub context: Option<String>,
    /// Who Vigie says it is, where its own account may only impersonate.
    pub impersonate: Option<Impersonation>,
    /// How long one reading may take: 5 s.
    #[serde(default, deserialize_with = "length::read_some")]
    pub answers_within: Option<Millis>,
    /// Variables that the kubeconfig's program for credentials is given besides the usual ones.
    #[serde(default)]
    pub pass: Vec<String>,
}

/// Somebody else's name, as Kubernetes knows them.
#[derive(Debug, Clone, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Impersonation {
    /// The user: `system:serviceaccount:ops:vigie`.
    pub user: String,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl ClusterConfig {
    /// Adds every fault. A file that is not there is none: the configuration is also checked where the cluster is not
    /// reached from.
    pub(in crate::actions) fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        if self.kubeconfig.is_some() == self.in_cluster {
            faults.push(fault(path, "say how it is reached in exactly one way; kubeconfig, or in_cluster: true"));
        }
        if self.context.is_some() && self.in_cluster {
            faults.push(fault(format!("{path}.context"), "only a kubeconfig has contexts; leave it out"));
        }
        if self.answers_within == Some(Millis(0)) {
            faults.push(fault(format!("{path}.answers_within"), "nothing happens in no time; write for example 5s"));
        }
        let Some(file) = &self.kubeconfig else { return };
        let place = format!("{path}.kubeconfig");
        if !file.is_absolute() {
            faults.push(fault(place, "it depends on the folder that Vigie is started in; give the whole path"));
        } else if file.exists() {
            match Kubeconfig::read_from(file) {
                Ok(read) => self.validate_file(&read, path, faults),
                Err(why) => {
                    let sentence = format!("{}; write one with kubectl config view --flatten", unreadable(&why));
                    faults.push(fault(place, sentence));
                }
            }
        }
    }

    fn validate_file(&self, file: &Kubeconfig, path: &str, faults: &mut Vec<ConfigFault>) {
        let Some(wanted) = self.context.as_ref().or(file.current_context.as_ref()) else {
            faults.push(fault(format!("{path}.context"), "the file has no current context; name one"));
            return;
        };
        let known: Vec<&str> = file.contexts.iter().map(|context| context.name.as_str()).collect();
        let Some(context) = file.contexts.iter().find(|context| context.name == *wanted) else {
            let sentence = format!("the file has no context “{wanted}”; there are {}", known.join(", "));
            faults.push(fault(format!("{path}.context"), sentence));
            return;
        };
        let Some(context) = &context.context else { return };
        let cluster = file.clusters.iter().find(|cluster| cluster.name == context.cluster);
        if cluster.and_then(|cluster| cluster.cluster.as_ref()).is_some_and(|cluster| cluster.proxy_url.is_some()) {
            let sentence =
                "the cluster is reached through proxy-url, which Vigie does not speak; give a direct address";
            faults.push(fault(format!("{path}.kubeconfig"), sentence));
        }
        let user = file.auth_infos.iter().find(|user| Some(&user.name) == context.user.as_ref());
        if user.and_then(|user| user.auth_info.as_ref()).is_some_and(|user| user.auth_provider.is_some()) {
            let sentence = "the user has an auth-provider, which Kubernetes has given up; use an exec plugin";
            faults.push(fault(format!("{path}.kubeconfig"), sentence));
        }
    }
}

/// What is wrong with a kubeconfig, without a word of what is in it.
fn unreadable(why: &KubeconfigError) -> String {
    match why {
        KubeconfigError::ReadConfig(error, _) => format!("the file cannot be read ({})", error.kind()),
        _ => "the file is no kubeconfig".to_owned(),
    }
}

/// All clusters, by their keys.
#[derive(Debug, Default)]
pub struct Clusters(BTreeMap<String, Cluster>);

impl Clusters {
    /// Nothing is reached yet. `environment` is ours, of which programs for credentials get only what is passed.
    pub(in crate::actions) fn new(
        configs: &BTreeMap<String, ClusterConfig>,
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let cluster = |(key, config): (&String, &ClusterConfig)| {
            let is_kept = |name: &String| ALWAYS_PASSED.contains(&name.as_str()) || config.pass.contains(name);
            let withheld = environment.keys().filter(|name| !is_kept(name)).cloned().collect();
            let (place, config) = (place(key, config, configs), config.clone());
            let cluster = Cluster { key: key.clone(), place, config, withheld, access: Mutex::default() };
            (key.clone(), cluster)
        };
        Self(configs.iter().map(cluster).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Cluster> {
        self.0.get(key)
    }

    /// The key under which things in this cluster are held.
    pub(super) fn place<'k>(&'k self, key: &'k str) -> &'k str {
        self.0.get(key).map_or(key, |cluster| &cluster.place)
    }
}

/// The first key of all that lead to the same API server: what one of them changes, none of the others may change meanwhile.
fn place(key: &str, config: &ClusterConfig, all: &BTreeMap<String, ClusterConfig>) -> String {
    let own = address(config);
    let first = all.iter().find(|(_, other)| own.is_some() && address(other) == own);
    first.map_or(key, |(first, _)| first).to_owned()
}

/// Where its API server is; nothing where the file cannot be read now.
fn address(config: &ClusterConfig) -> Option<String> {
    let Some(file) = &config.kubeconfig else { return Some("in the cluster".to_owned()) };
    let file = Kubeconfig::read_from(file).ok()?;
    let wanted = config.context.as_ref().or(file.current_context.as_ref())?;
    let context = file.contexts.iter().find(|context| context.name == *wanted)?.context.as_ref()?;
    let cluster = file.clusters.iter().find(|cluster| cluster.name == context.cluster)?.cluster.as_ref()?;
    Some(cluster.server.as_ref()?.trim_end_matches('/').to_owned())
}

/// One cluster.
pub(super) struct Cluster {
    pub(super) key: String,
    place: String,
    config: ClusterConfig,
    withheld: Vec<String>,
    access: Mutex<Option<Access>>,
}

/// What speaks to a cluster.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) client: Client,
    /// Its API server, by the fingerprint of its address: an address may hold credentials, and this is written down.
    pub(super) server: String,
}

impl std::fmt::Debug for Cluster {
    // A client holds credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Cluster {
    /// How long one reading may take.
    pub(super) fn answers_within(&self) -> Duration {
        length::duration(self.config.answers_within.unwrap_or(Millis::seconds(5)))
    }

    /// The way to it, made now if there is none.
    pub(super) async fn access(&self) -> Result<Access, Words> {
        let mut kept = self.access.lock().await;
        if let Some(access) = &*kept {
            return Ok(access.clone());
        }
        let (config, withheld) = (self.config.clone(), self.withheld.clone());
        // Files are read and programs are run, and kube waits for both where it stands.
        let making = tokio::task::spawn_blocking(move || {
            tokio::runtime::Handle::current().block_on(async move { connect(&config, &withheld).await })
        });
        let access = match within(CONNECT, making).await {
            Ok(Ok(made)) => made?,
            Ok(Err(_)) => return Err(Words::new("kubernetes.access_broke")),
            Err(_) => return Err(Words::new("kubernetes.access_slow")),
        };
        Ok(kept.insert(access).clone())
    }

    /// What a program that fetches credentials is not given.
    #[cfg(test)]
    pub(super) fn withheld(&self) -> &[String] {
        &self.withheld
    }

    /// Our credentials were not taken: the next client reads them anew.
    pub(super) async fn forget_client(&self) {
        *self.access.lock().await = None;
    }
}

async fn connect(config: &ClusterConfig, withheld: &[String]) -> Result<Access, Words> {
    let mut access = match &config.kubeconfig {
        Some(path) => {
            let mut file = Kubeconfig::read_from(path).map_err(|why| Words::verbatim(unreadable(&why)))?;
            let infos = file.auth_infos.iter_mut().filter_map(|user| user.auth_info.as_mut());
            for exec in infos.filter_map(|info| info.exec.as_mut()) {
                exec.interactive_mode = Some(ExecInteractiveMode::Never);
                exec.drop_env = Some(withheld.to_vec());
            }
            let options = KubeConfigOptions { context: config.context.clone(), cluster: None, user: None };
            kube::Config::from_custom_kubeconfig(file, &options).await.map_err(|why| incomplete(&why))?
        }
        None => kube::Config::incluster().map_err(|_| Words::new("kubernetes.not_in_cluster"))?,
    };
    access.proxy_url = None;
    if let Some(other) = &config.impersonate {
        access.auth_info.impersonate = Some(other.user.clone());
        access.auth_info.impersonate_groups = Some(other.groups.clone());
    }
    let server = hex::encode(Sha256::digest(access.cluster_url.to_string().trim_end_matches('/')));
    let client = build(&access).map_err(|why| refused_access(&why))?;
    Ok(Access { client, server })
}

fn build(access: &kube::Config) -> Result<Client, kube::Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(Duration::from_secs(5)));
    http.set_keepalive(Some(Duration::from_secs(30)));
    let https = access.rustls_https_connector_with_connector(http)?;
    let wire = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(80))
        .pool_timer(TokioTimer::new())
        .build::<_, Body>(https);
    let service = tower::ServiceBuilder::new()
        .layer(access.base_uri_layer())
        .option_layer(access.auth_layer()?)
        .layer(access.extra_headers_layer()?)
        .map_err(tower::BoxError::from)
        .service(wire);
    Ok(Client::new(service, access.default_namespace.clone()))
}

/// What a kubeconfig lacks, by its kind alone: the errors' own texts may quote the file.
fn incomplete(why: &KubeconfigError) -> Words {
    match why {
        KubeconfigError::CurrentContextNotSet => Words::new("kubernetes.no_context"),
        KubeconfigError::LoadContext(name) => Words::new("kubernetes.unknown_context").with("context", name.as_str()),
        KubeconfigError::LoadClusterOfContext(name) => {
            Words::new("kubernetes.unknown_cluster_entry").with("entry", name.as_str())
        }
        KubeconfigError::LoadCertificateAuthority(_)
        | KubeconfigError::LoadClientCertificate(_)
        | KubeconfigError::LoadClientKey(_)
        | KubeconfigError::ParseCertificates(_) => Words::new("kubernetes.bad_certificates"),
        _ => Words::new("kubernetes.bad_kubeconfig"),
    }
}

/// Why the credentials cannot be used, by its kind alone: a program's output may hold a token.
pub(super) fn refused_access(why: &kube::Error) -> Words {
    use kube::client::AuthError;
    match why {
        kube::Error::Auth(AuthError::AuthExecStart(error)) => {
            Words::new("kubernetes.plugin_not_started").with("why", error.kind().to_string())
        }
        kube::Error::Auth(AuthError::AuthExecRun { out, .. }) => {
            Words::new("kubernetes.plugin_failed").with("code", out.status.code())
        }
        kube::Error::Auth(_) => Words::new("kubernetes.bad_credentials"),
        _ => Words::new("kubernetes.bad_certificates"),
    }
}
