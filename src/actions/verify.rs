//! Verification: the checks of the approved plan, asked again until they come right or the time is over (P2, H1).

use std::time::Duration;

use futures_util::future::join_all;

use super::check::CheckConfig;
use super::stopwatch::{Stopwatch, pause, within};
use super::{Inner, length};
use crate::incident::approval::{ActionPlan, CheckResult, Verdict, Verification};
use crate::incident::time::Millis;
use crate::incident::words::Words;

impl Inner {
    /// What the checks of the plan saw last, in the plan's order.
    pub(super) async fn verify(&self, plan: &ActionPlan) -> Vec<CheckResult> {
        let limits = &self.config.limits;
        let own = self.config.actions.get(&plan.action).and_then(|action| action.verify_within);
        let limit = length::duration(own.unwrap_or(limits.verify_within));
        let every = length::duration(limits.verify_every);
        let checks = plan.verification.iter().map(|named| async move {
            match self.config.check(plan.service.as_deref(), &named.check) {
                // The result has the name that the plan gives, which may be that of another service's check.
                Some(check) => {
                    CheckResult { check: named.check.clone(), ..self.until_good(check, named, limit, every).await }
                }
                None => gone(named),
            }
        });
        join_all(checks).await
    }

    async fn until_good(
        &self,
        check: &CheckConfig,
        named: &Verification,
        limit: Duration,
        every: Duration,
    ) -> CheckResult {
        let watch = Stopwatch::start();
        loop {
            let mut seen = check.look_so_far(&self.world, watch.left_of(limit).max(every)).await;
            if let Some(change) = check.change() {
                seen.result = change.judge(named.before.as_ref(), seen.result);
            }
            let rest = watch.left_of(limit);
            let is_settled = is_good(&seen.result) && !check.is_open(&seen);
            if is_settled || rest <= every || within(rest, pause(every)).await.is_err() {
                return seen.at_last();
            }
        }
    }
}

/// Good enough to call it done: a warning is worth a look, but no failure.
pub(super) fn is_good(result: &CheckResult) -> bool {
    result.verdict <= Verdict::Warn
}

fn gone(named: &Verification) -> CheckResult {
    CheckResult {
        check: named.check.clone(),
        title: named.title.clone(),
        verdict: Verdict::Fail,
        value: Words::new("look.gone"),
        limit: None,
        took: Millis(0),
        figure: None,
        details: None,
    }
}

#[cfg(test)]
mod tests;
