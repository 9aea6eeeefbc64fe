//! Fetching the mirrors of git repositories before anybody needs them: a whole repository does not fit into the time that a
//! plan may take.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Actions;
use super::git::Git;

/// How long one of them may take.
const WHOLE: Duration = Duration::from_secs(3600);

impl Actions {
    /// Makes and fetches all mirrors that steps and checks name, one after another, each within an hour. A plan that needs one
    /// meanwhile says that it is in use. Of one that cannot be fetched the log tells why; whoever plans is told, too.
    pub async fn fetch_mirrors(&self) {
        let config = &self.inner.config;
        let steps = config.actions.values().flat_map(|action| &action.steps);
        let steps = steps.filter_map(|step| step.git.as_deref().cloned());
        let checks = config.services.values().flatten();
        let checks = checks.filter_map(|check| Some(check.git.as_ref()?.place()));
        let mirrors: BTreeMap<_, Git> = steps.chain(checks).map(|git| (git.mirror.clone(), git)).collect();
        for (mirror, git) in mirrors {
            let mirror = mirror.display();
            match git.fetch(&self.inner.world, WHOLE).await {
                Ok(()) => tracing::info!(%mirror, "a mirror of git is up to date"),
                Err(why) => tracing::warn!(%mirror, %why, "a mirror of git could not be fetched"),
            }
        }
    }
}
