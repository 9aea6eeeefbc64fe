//! Whether the clusters can be used: reached, and with every right that the configuration needs there.

use std::time::Duration;

use futures_util::future::join_all;

use super::super::Actions;
use super::call::Site;
use super::kinds::PODS;
use super::rights::{Allowed, Right, check};
use crate::incident::words::Words;

/// How long one cluster may take.
const WITHIN: Duration = Duration::from_secs(10);

/// How a cluster was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterSeen {
    /// Its key.
    pub cluster: String,
    /// The version of its API server, or why it cannot be used.
    pub version: Result<String, Words>,
    /// What is missing there, one line for each namespace.
    pub missing: Vec<Words>,
    /// The namespaces in which it does not say what Vigie may do.
    pub unsaid: Vec<String>,
}

impl ClusterSeen {
    fn unusable(cluster: &str, why: Words) -> Self {
        Self { cluster: cluster.to_owned(), version: Err(why), missing: Vec::new(), unsaid: Vec::new() }
    }
}

impl Actions {
    /// Looks at every cluster of the configuration. Only reads.
    pub async fn look_at_clusters(&self) -> Vec<ClusterSeen> {
        let clusters = self.inner.config.clusters.keys();
        join_all(clusters.map(|key| self.look_at_cluster(key))).await
    }

    async fn look_at_cluster(&self, key: &str) -> ClusterSeen {
        let world = &self.inner.world;
        let Some(cluster) = world.clusters.get(key) else {
            return ClusterSeen::unusable(key, super::reconfigured());
        };
        let site = |namespace| Site::new(cluster, namespace, world, WITHIN);
        let version = version(&site("default")).await;
        let needs = self.inner.config.needs_in(key).unwrap_or_default();
        let (mut missing, mut unsaid) = (Vec::new(), Vec::new());
        if version.is_ok() {
            for (namespace, rights) in needs.by_namespace() {
                match check(&site(namespace), &rights).await {
                    Allowed::All(_) => {}
                    Allowed::Lacks(why) => missing.push(why),
                    Allowed::Unsaid => unsaid.push(namespace.to_owned()),
                }
            }
        }
        ClusterSeen { cluster: key.to_owned(), version, missing, unsaid }
    }
}

async fn version(site: &Site<'_>) -> Result<String, Words> {
    let answer = site.get_at("/version").await.map_err(|trouble| trouble.words(site, &Right::all("list", PODS)))?;
    Ok(answer.get("gitVersion").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned())
}
