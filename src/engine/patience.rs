//! How long to keep trying, and what is said when that was too long.

use std::time::Duration;

use crate::incident::approval::{CheckResult, Verdict};
use crate::incident::decision::{Effect, Report};
use crate::incident::time::{Instant, Millis};
use crate::incident::words::Words;
use crate::paging::PagingFault;
use crate::render::RenderFault;
use crate::slack::{SlackFault, WORTH_OF_A_PAGE};
use crate::store::{Claimed, StoreFault};

/// Why an effect was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What may be done about it.
    pub kind: Kind,
    /// For people.
    pub why: Words,
    /// For the log, where there is more to say than to people.
    pub detail: Option<String>,
}

/// What may be done about a trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing was done; it may work later.
    Retry {
        /// Not before so long from now.
        after: Option<Millis>,
    },
    /// It will not work before a person changes something.
    Permanent {
        /// The other side's word.
        code: String,
    },
    /// It may have been done.
    Unknown,
}

impl Trouble {
    pub(super) fn permanent(code: &str, why: Words) -> Self {
        Self { kind: Kind::Permanent { code: code.to_owned() }, why, detail: None }
    }

    pub(super) fn retry(why: Words) -> Self {
        Self { kind: Kind::Retry { after: None }, why, detail: None }
    }

    /// As the log tells it.
    pub(super) fn told(&self) -> String {
        self.detail.clone().unwrap_or_else(|| self.why.to_string())
    }
}

impl From<SlackFault> for Trouble {
    fn from(fault: SlackFault) -> Self {
        let (why, detail) = (fault.words(), Some(fault.why().to_owned()));
        let kind = match fault {
            SlackFault::Retry { after, .. } => Kind::Retry { after: after.map(millis) },
            SlackFault::Permanent { code, .. } => Kind::Permanent { code },
            SlackFault::Unknown { .. } => Kind::Unknown,
        };
        Self { kind, why, detail }
    }
}

impl From<PagingFault> for Trouble {
    fn from(fault: PagingFault) -> Self {
        let (kind, why) = match fault {
            PagingFault::Retry { after, why } => (Kind::Retry { after: after.map(millis) }, why),
            PagingFault::Permanent { why } => (Kind::Permanent { code: "refused".to_owned() }, why),
            PagingFault::Unknown { why } => (Kind::Unknown, why),
        };
        Self { kind, why, detail: None }
    }
}

impl From<StoreFault> for Trouble {
    fn from(fault: StoreFault) -> Self {
        let detail = Some(fault.to_string());
        Self { kind: Kind::Retry { after: None }, why: Words::new("trouble.store"), detail }
    }
}

/// A template is broken: nobody but whoever keeps the templates can mend it.
impl From<RenderFault> for Trouble {
    fn from(fault: RenderFault) -> Self {
        let detail = Some(fault.to_string());
        Self { detail, ..Self::permanent("not_drawn", Words::new("slack_fault.not_drawn")) }
    }
}

fn millis(duration: Duration) -> Millis {
    Millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// What to do after trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again then.
    Again(Instant),
    /// It has been tried long enough.
    GiveUp,
}

/// How long an effect is worth trying. A page gives way to the next way of reaching the person soon (E4); chat is
/// tried for as long as an outage of Slack may last.
fn worth(effect: &Effect) -> Millis {
    match effect {
        // Somebody waits with their finger on the button.
        Effect::Page { .. } | Effect::AskGroups { .. } => WORTH_OF_A_PAGE,
        Effect::Reply { .. } | Effect::ReplyWith { .. } => Millis::minutes(30),
        Effect::Home { .. } => Millis::minutes(5),
        Effect::Diagnose { .. } | Effect::Offer { .. } | Effect::Plan { .. } | Effect::KeepState { .. } => {
            Millis::minutes(1)
        }
        Effect::Deliver { .. } | Effect::TellRun { .. } => Millis::minutes(30),
        _ => Millis::minutes(24 * 60),
    }
}

/// Half a second, doubled with each attempt up to half a minute, and up to a quarter more so that many do not come
/// back at the same instant.
fn backoff(attempts: u32, id: i64) -> Millis {
    let base = 500_i64.saturating_mul(1 << attempts.saturating_sub(1).min(6)).min(30_000);
    let spread = id.wrapping_mul(2_654_435_761).rem_euclid(1_000);
    Millis(base + base * spread / 4_000)
}

/// Whether to try again, and when.
pub(super) fn next(claimed: &Claimed, trouble: &Trouble, now: Instant) -> Next {
    let wait = match (&trouble.kind, &claimed.effect) {
        (Kind::Permanent { .. }, _) => return Next::GiveUp,
        // A customer must not be told twice, and an unknown execution is for a person to judge.
        (Kind::Unknown, Effect::Deliver { .. } | Effect::TellRun { .. } | Effect::Run { .. }) => return Next::GiveUp,
        (Kind::Retry { after: Some(after) }, _) => *after,
        (Kind::Retry { after: None } | Kind::Unknown, _) => backoff(claimed.attempts, claimed.id),
    };
    let at = now + wait;
    if at.since(claimed.created_at) > worth(&claimed.effect) { Next::GiveUp } else { Next::Again(at) }
}

/// What the incident is told when an effect was given up.
pub(super) fn given_up(effect: &Effect, trouble: &Trouble) -> Vec<Report> {
    let why = trouble.why.clone();
    let report = match effect {
        Effect::Page { page, .. } => Report::PageFailed { page: *page, why },
        Effect::Plan { run } => Report::Planned { run: *run, plan: Err(why) },
        Effect::KeepState { run } => Report::StateKept { run: *run, files: Vec::new(), missed: vec![why] },
        Effect::Offer { action, dry_run, to } => {
            Report::Offered { action: action.clone(), choices: Err(why), dry_run: *dry_run, to: to.clone() }
        }
        Effect::Run { run } => Report::RunLost { run: *run, why },
        Effect::AskGroups { by, command, channel, reply, .. } => Report::GroupsSeen {
            by: by.clone(),
            member_of: Err(why),
            command: command.clone(),
            channel: channel.clone(),
            reply: reply.clone(),
        },
        Effect::TellRun { run, ended, destination } => {
            Report::RunTold { run: *run, ended: *ended, destination: destination.clone(), why: Some(why) }
        }
        Effect::Diagnose { diagnostic, service } => {
            let result = CheckResult {
                check: service.clone(),
                title: service.clone(),
                verdict: Verdict::Fail,
                value: why,
                limit: None,
                took: Millis::default(),
                figure: None,
                details: None,
            };
            Report::Diagnosed { diagnostic: *diagnostic, results: vec![result] }
        }
        Effect::Deliver { update, destination, customer, only } => {
            let missed: Vec<&str> = only.iter().map(String::as_str).collect();
            let destination = match missed.is_empty() {
                true => destination.clone(),
                false => format!("{destination} ({})", missed.join(", ")),
            };
            Report::TextFailed { update: *update, customer: *customer, destination, why }
        }
        Effect::Home { .. } => return Vec::new(),
        _ => {
            let code = match &trouble.kind {
                Kind::Permanent { code } => code.clone(),
                Kind::Retry { .. } | Kind::Unknown => "gave_up".to_owned(),
            };
            Report::ChatFailed { effect: Box::new(effect.clone()), code, why }
        }
    };
    vec![report]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(effect: Effect, attempts: u32) -> Claimed {
        Claimed {
            id: 7,
            incident: None,
            queue: String::new(),
            effect,
            attempts,
            created_at: Instant(0),
            token: String::new(),
            until: Instant(0),
            has_others_behind: false,
        }
    }

    #[test]
    fn a_chat_card_outlives_an_outage_and_a_page_gives_way_in_half_a_minute() {
        let down = Trouble::retry(Words::verbatim("down"));
        let topic = claimed(Effect::Topic, 9);
        assert!(matches!(next(&topic, &down, Instant(3_600_000)), Next::Again(_)));
        let (page, way) = ("page_1_1".parse().unwrap(), crate::incident::people::Way::Sms);
        let contact = Box::new(crate::incident::people::Contact {
            key: "oncall".into(),
            name: "On-call".into(),
            slack: None,
            email: None,
            phone: None,
            other: Default::default(),
            locale: None,
            zone: None,
            page_with: vec![],
            fall_over: vec![],
        });
        let page = claimed(Effect::Page { page, contact, way }, 6);
        assert_eq!(next(&page, &down, Instant(29_000)), Next::GiveUp);
    }

    #[test]
    fn what_slack_asked_to_wait_is_waited() {
        let kind = Kind::Retry { after: Some(Millis::seconds(17)) };
        let limited = Trouble { kind, ..Trouble::retry(Words::verbatim("limited")) };
        assert_eq!(next(&claimed(Effect::Topic, 1), &limited, Instant(1_000)), Next::Again(Instant(18_000)));
    }

    #[test]
    fn the_wait_grows_and_stays_bounded() {
        let waits: Vec<i64> = (1..=12).map(|attempts| backoff(attempts, 1).0).collect();
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| (500..=37_500).contains(wait)), "{waits:?}");
    }
}
