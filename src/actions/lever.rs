//! What stands at one of many places at a vendor, and is moved by one request: the one judge of how that went.
//!
//! Vendors answer before they have done it. So a yes is believed only when the vendor shows it, and a lost answer is
//! settled by looking.

use std::time::Duration;

use async_trait::async_trait;

use super::api::Trouble;
use super::provider::{Happened, StepContext, StepResult};
use super::stopwatch::{Stopwatch, pause};
use crate::incident::words::Words;

/// Where it stands, each with its name for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stand {
    /// Where it should be.
    There(String),
    /// Where it was when the plan was made.
    AtStart(String),
    /// Some of it is where it should be; asking again moves the rest.
    Half(String),
    /// Still where it was; the vendor is moving it.
    Moving(String),
    /// Somewhere else.
    Elsewhere(String),
    /// It was moved by this step, and came to nothing, for this reason.
    Broken(Words),
}

impl Stand {
    fn at(&self) -> &str {
        match self {
            Stand::There(at) | Stand::AtStart(at) | Stand::Half(at) | Stand::Moving(at) | Stand::Elsewhere(at) => at,
            Stand::Broken(_) => "",
        }
    }
}

/// Why what was asked for was not done.
#[derive(Debug)]
pub(super) struct Halt {
    pub trouble: Trouble,
    /// Another request of the same move was sent before: nobody may be told that nothing was changed.
    pub is_begun: bool,
}

impl From<Trouble> for Halt {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, is_begun: false }
    }
}

/// Something that is moved by one request, or by a few.
#[async_trait]
pub(super) trait Lever: Sync {
    /// Its name for people.
    fn target(&self) -> &str;

    /// The vendor's name.
    fn vendor(&self) -> &'static str;

    /// How long after the vendor's yes nothing of it need be seen.
    fn settle(&self) -> Duration;

    /// Looks.
    async fn stand(&self) -> Result<Stand, Trouble>;

    /// Sends the request, or what is left of several.
    async fn throw(&self) -> Result<(), Halt>;

    /// What a trouble with looking means here.
    fn words(&self, trouble: &Trouble) -> Words {
        trouble.words(self.vendor(), self.target())
    }

    /// What a trouble with the request means here.
    fn refusal(&self, trouble: &Trouble) -> Words {
        self.words(trouble)
    }
}

fn says(lever: &dyn Lever, key: &'static str) -> Words {
    Words::new(key).with("target", lever.target())
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// How often it is looked at: often enough for whoever waits, seldom enough for the vendor.
fn pace(within: Duration) -> Duration {
    (within / 60).clamp(Duration::from_millis(20), Duration::from_secs(2))
}

/// Moves it, at most once, and follows it to its end. What this run had begun before is followed as what it begins now.
pub(super) async fn throw(lever: &dyn Lever, cx: &StepContext<'_>) -> StepResult {
    let whole = Stopwatch::start();
    let mut since_yes: Option<Stopwatch> = None;
    let mut told = None;
    loop {
        let seen = lever.stand().await;
        let over = whole.left_of(cx.within).is_zero();
        let is_ours = cx.begun || since_yes.is_some();
        match (seen, since_yes) {
            (Ok(Stand::Broken(why)), _) => return StepResult::failed(why),
            (Ok(Stand::There(at)), _) => {
                return there(lever, if is_ours { "step.is_at" } else { "step.already_at" }, at);
            }
            (Ok(Stand::Elsewhere(at)), _) if is_ours => {
                return StepResult::unknown(says(lever, "step.elsewhere").with("at", at));
            }
            (Ok(Stand::Elsewhere(at)), _) => return StepResult::stale(says(lever, "step.is_at").with("at", at)),
            (Ok(Stand::AtStart(_) | Stand::Half(_)), None) => match lever.throw().await {
                Ok(()) => since_yes = Some(Stopwatch::start()),
                Err(halt) if halt.trouble.may_have_happened() => {
                    let why = lever.refusal(&halt.trouble);
                    return StepResult::unknown(says(lever, "step.answer_lost").with("why", why));
                }
                Err(halt) => return refused(lever, &halt.trouble, cx.begun || halt.is_begun).await,
            },
            (Ok(Stand::AtStart(at) | Stand::Half(at)), Some(yes)) if yes.left_of(lever.settle()).is_zero() => {
                let after = millis(lever.settle());
                return StepResult::unknown(
                    says(lever, "step.yes_but_still_at").with("at", at).with("after_ms", after),
                );
            }
            (Ok(stand), _) if over => {
                let key = if is_ours { "lever.not_there_yet" } else { "lever.busy" };
                let words = says(lever, key).with("at", stand.at()).with("within_ms", millis(cx.within));
                return if is_ours { StepResult::unknown(words) } else { StepResult::unchanged(words) };
            }
            (Ok(stand), _) => {
                if told.as_ref() != Some(&stand) {
                    (cx.progress)(says(lever, "lever.moving").with("at", stand.at()));
                    told = Some(stand);
                }
            }
            (Err(trouble), _) if !is_ours => {
                let why = lever.words(&trouble);
                return StepResult::failed(says(lever, "step.unread_before").with("why", why));
            }
            (Err(trouble), yes) if over => {
                let key = if yes.is_some() { "step.yes_but_unread" } else { "step.unread" };
                return StepResult::unknown(says(lever, key).with("why", lever.words(&trouble)));
            }
            (Err(_), _) => {}
        }
        pause(pace(cx.within)).await;
    }
}

fn there(lever: &dyn Lever, key: &'static str, at: String) -> StepResult {
    let note = says(lever, key).with("at", at.as_str());
    StepResult::Done { note, output: None, live: Some(at) }
}

/// The vendor said no; somebody else may be the reason, or a part of it may be done. Of what had begun before, only what is
/// seen is believed.
async fn refused(lever: &dyn Lever, trouble: &Trouble, is_begun: bool) -> StepResult {
    let why = lever.refusal(trouble);
    match lever.stand().await {
        Ok(Stand::There(at)) => there(lever, if is_begun { "step.is_at" } else { "step.already_at" }, at),
        Ok(Stand::Half(at)) => StepResult::failed(says(lever, "lever.half").with("at", at).with("why", why)),
        _ if is_begun => StepResult::unknown(says(lever, "lever.begun").with("why", why)),
        Ok(Stand::Elsewhere(at)) => StepResult::stale(says(lever, "step.is_at").with("at", at)),
        Ok(Stand::AtStart(_) | Stand::Moving(_) | Stand::Broken(_)) | Err(_) => StepResult::unchanged(why),
    }
}

/// Whether it was moved, after a lost answer or a crash. Where it was is only believed when it still is so after the time
/// that the vendor may take.
pub(super) async fn settled(lever: &dyn Lever, cx: &StepContext<'_>) -> Happened {
    let watch = Stopwatch::start();
    let patience = lever.settle().min(cx.within);
    loop {
        match lever.stand().await {
            Ok(Stand::There(at)) => {
                let note = says(lever, "step.is_at").with("at", at.as_str());
                return Happened::Yes { note, live: Some(at) };
            }
            Ok(Stand::Half(at) | Stand::Moving(at)) => {
                return Happened::Begun { note: says(lever, "lever.moving").with("at", at) };
            }
            Ok(Stand::Elsewhere(at)) => {
                return Happened::CannotTell { why: says(lever, "step.elsewhere").with("at", at) };
            }
            // Whoever takes it up is told the reason.
            Ok(Stand::Broken(why)) => return Happened::Begun { note: why },
            Ok(Stand::AtStart(at)) if watch.left_of(patience).is_zero() => {
                return Happened::No { note: says(lever, "step.still_at").with("at", at) };
            }
            Ok(Stand::AtStart(_)) => {}
            Err(trouble) => {
                let why = lever.words(&trouble);
                return Happened::CannotTell { why: says(lever, "step.unread").with("why", why) };
            }
        }
        pause(pace(patience)).await;
    }
}

#[cfg(test)]
mod tests;
