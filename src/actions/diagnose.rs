//! Quick diagnostic: all of a service's checks side by side, within a deadline whatever hangs (row H7).

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::check::{CheckConfig, Seen, millis};
use super::stopwatch::{Stopwatch, within};
use super::{Actions, World, length};
use crate::incident::approval::CheckResult;
use crate::incident::words::Words;

impl Actions {
    /// What each of the service's checks sees now, worst first; empty for a service without checks. Never takes
    /// longer than `limits.diagnose_within` (15 s): whoever hangs is said to hang.
    pub async fn diagnose(&self, service: &str) -> Vec<CheckResult> {
        self.look_at(service, length::duration(self.inner.config.limits.diagnose_within)).await
    }

    pub(super) async fn look_at(&self, service: &str, limit: Duration) -> Vec<CheckResult> {
        let checks = self.inner.config.services.get(service).map(Vec::as_slice).unwrap_or_default();
        let mut results = look_all(checks, &self.inner.world, limit).await;
        results.sort_by_key(|result| std::cmp::Reverse(result.verdict));
        results
    }
}

/// Every check once, in parallel; in the order of the configuration.
async fn look_all(checks: &[CheckConfig], world: &Arc<World>, limit: Duration) -> Vec<CheckResult> {
    let watch = Stopwatch::start();
    // A little less than all of it, so that a check can say itself how far it came.
    let own = limit - limit / 10;
    let mut looking = JoinSet::new();
    for (index, check) in checks.iter().enumerate() {
        let (check, world) = (check.clone(), Arc::clone(world));
        // Each in a unit of its own, so that one that panics takes nobody with it.
        looking.spawn(async move { (index, check.look(&world, own).await) });
    }
    let mut seen: Vec<Option<CheckResult>> = checks.iter().map(|_| None).collect();
    let mut broken = false;
    while let Ok(Some(joined)) = within(watch.left_of(limit), looking.join_next()).await {
        match joined {
            Ok((index, result)) => {
                if let Some(place) = seen.get_mut(index) {
                    *place = Some(result);
                }
            }
            Err(fault) => {
                tracing::error!(%fault, "a check broke");
                broken = true;
            }
        }
    }
    looking.abort_all();
    let missing = |check: &CheckConfig| {
        let why = if broken && watch.left_of(limit) > Duration::ZERO {
            Seen::fail(Words::new("look.broke"))
        } else {
            Seen::hung(Words::new("look.no_answer").with("within_ms", millis(limit).0))
        };
        check.result(why, watch.took(), world)
    };
    checks.iter().zip(seen).map(|(check, result)| result.unwrap_or_else(|| missing(check))).collect()
}

#[cfg(test)]
mod tests;
