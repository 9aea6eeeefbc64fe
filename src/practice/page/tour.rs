//! The guided tour's check marks. A step counts when the person did it and the app answered in the open: an
//! ephemeral refusal ticks nothing. It reads verbs and changes, never the app's sentences, so it works in every language.

use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::WorldState;

/// The steps, in the order in which the page shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    Break,
    Start,
    Acknowledge,
    Diagnose,
    Rollback,
    Approve,
    Update,
    Remind,
    Resolve,
    Postmortem,
}

const STEPS: [Step; 10] = [
    Step::Break,
    Step::Start,
    Step::Acknowledge,
    Step::Diagnose,
    Step::Rollback,
    Step::Approve,
    Step::Update,
    Step::Remind,
    Step::Resolve,
    Step::Postmortem,
];

/// One line of the tour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    pub id: Step,
    pub done: bool,
}

/// Minutes that the reminder step asks for.
const REMIND_AFTER: u32 = 30;

#[derive(Default)]
pub(super) struct Tour {
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    done: BTreeSet<Step>,
    /// Done by somebody, not yet answered: the step, who did it, and what the app had said before.
    waiting: Vec<(Step, String, u64)>,
    minutes: u32,
}

impl Tour {
    // Sets and counters: whatever happened while they were held, they are still a tour.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shop was seen failing.
    pub fn shop_failed(&self) {
        self.progress().done.insert(Step::Break);
    }

    /// `before.viewer` did something that goes by these words; `before` is what they saw just before.
    pub fn did(&self, words: &[&str], before: &WorldState) {
        if let Some(step) = words.iter().find_map(|text| verb(text)) {
            self.progress().wait_for(step, before);
        }
    }

    /// `before.viewer` moved the clock.
    pub fn advanced(&self, minutes: u32, before: &WorldState) {
        let mut progress = self.progress();
        if !progress.done.contains(&Step::Start) {
            return;
        }
        progress.minutes = progress.minutes.saturating_add(minutes);
        if progress.minutes >= REMIND_AFTER {
            progress.wait_for(Step::Remind, before);
        }
    }

    /// Everybody whose act waits for the app's answer.
    pub fn awaited(&self) -> BTreeSet<String> {
        self.progress().waiting.iter().map(|(_, who, _)| who.clone()).collect()
    }

    /// Ticks what the app has answered since, as `state.viewer` sees it.
    pub fn saw(&self, state: &WorldState) {
        let now = spoken(state);
        let mut progress = self.progress();
        let (answered, waiting): (Vec<_>, Vec<_>) =
            progress.waiting.drain(..).partition(|(_, who, before)| *who == state.viewer && *before != now);
        progress.waiting = waiting;
        progress.done.extend(answered.into_iter().map(|(step, ..)| step));
    }

    pub fn marks(&self) -> Vec<Mark> {
        let progress = self.progress();
        STEPS.iter().map(|&id| Mark { id, done: progress.done.contains(&id) }).collect()
    }
}

impl Progress {
    fn wait_for(&mut self, step: Step, before: &WorldState) {
        if self.done.contains(&step) {
            return;
        }
        self.waiting.retain(|(waiting, ..)| *waiting != step);
        self.waiting.push((step, before.viewer.clone(), spoken(before)));
    }
}

/// The step a command line, a button's value or an id stands for: the first of its first words that names one.
fn verb(text: &str) -> Option<Step> {
    let text = text
        .to_lowercase()
        .replace(['-', '_'], " ")
        .replace("post mortem", "postmortem")
        .replace("roll back", "rollback");
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let step = words.take(4).find_map(|word| match word {
        "start" | "declare" => Some(Some(Step::Start)),
        "ack" | "acknowledge" => Some(Some(Step::Acknowledge)),
        "diag" | "diagnose" | "diagnostics" => Some(Some(Step::Diagnose)),
        "rollback" => Some(Some(Step::Rollback)),
        "approve" => Some(Some(Step::Approve)),
        // Writing it is not enough: it is done when somebody else lets the customers' text go out.
        "update" => Some(None),
        "send" => Some(Some(Step::Update)),
        "resolve" => Some(Some(Step::Resolve)),
        "postmortem" => Some(Some(Step::Postmortem)),
        _ => None,
    });
    step.flatten()
}

/// A fingerprint of what the app says where others can read it.
fn spoken(state: &WorldState) -> u64 {
    let mut hasher = DefaultHasher::new();
    let bot = state.app.bot_user_id.as_str();
    for channel in &state.channels {
        channel.id.hash(&mut hasher);
        for message in channel.messages.iter().filter(|m| m.get("ephemeral") != Some(&Value::Bool(true))) {
            if message.get("user").and_then(Value::as_str) == Some(bot) || message.get("bot_id").is_some() {
                message.to_string().hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{AppInfo, PageChannel};
    use super::*;

    fn world(viewer: &str, messages: Vec<Value>) -> WorldState {
        WorldState {
            viewer: viewer.into(),
            app: AppInfo { bot_user_id: "UB".into(), name: "Vigie".into() },
            channels: vec![PageChannel { id: "C1".into(), messages, ..PageChannel::default() }],
            ..WorldState::default()
        }
    }

    fn said(text: &str) -> Value {
        json!({"user": "UB", "text": text})
    }

    fn done(tour: &Tour) -> Vec<Step> {
        tour.marks().into_iter().filter(|mark| mark.done).map(|mark| mark.id).collect()
    }

    #[test]
    fn a_step_is_ticked_once_the_app_answered_in_the_open() {
        let tour = Tour::default();
        tour.did(&["/incident start sev2 checkout returns 500"], &world("U1", vec![]));
        tour.saw(&world("U1", vec![]));
        assert_eq!(done(&tour), []);
        tour.saw(&world("U1", vec![said("SEV2")]));
        assert_eq!(done(&tour), [Step::Start]);
    }

    #[test]
    fn a_refusal_only_the_person_sees_ticks_nothing() {
        let tour = Tour::default();
        tour.did(&["/incident resolve"], &world("U1", vec![]));
        tour.saw(&world("U1", vec![json!({"user": "UB", "text": "No.", "ephemeral": true})]));
        assert_eq!(done(&tour), []);
    }

    #[test]
    fn an_edited_card_counts_as_an_answer_and_only_for_who_asked() {
        let tour = Tour::default();
        tour.did(&["ack", "incident.ack"], &world("U1", vec![said("paged")]));
        tour.saw(&world("U2", vec![said("acknowledged")]));
        assert_eq!(tour.awaited(), BTreeSet::from(["U1".to_owned()]));
        tour.saw(&world("U1", vec![said("acknowledged")]));
        assert_eq!(done(&tour), [Step::Acknowledge]);
    }

    #[test]
    fn an_update_counts_once_the_customers_text_was_let_out() {
        let tour = Tour::default();
        tour.did(&["/incident update we send a fix"], &world("U1", vec![]));
        tour.saw(&world("U1", vec![said("waiting for a second pair of eyes")]));
        assert_eq!(done(&tour), []);
        tour.did(&["send upd_1_1"], &world("U2", vec![]));
        tour.saw(&world("U2", vec![said("sent")]));
        assert_eq!(done(&tour), [Step::Update]);
    }

    #[test]
    fn half_an_hour_may_pass_in_two_steps_but_only_after_the_start() {
        let tour = Tour::default();
        tour.advanced(30, &world("U1", vec![]));
        tour.did(&["declare_incident"], &world("U1", vec![]));
        tour.saw(&world("U1", vec![said("a")]));
        tour.advanced(15, &world("U1", vec![said("a")]));
        tour.saw(&world("U1", vec![said("a"), said("b")]));
        assert_eq!(done(&tour), [Step::Start]);
        tour.advanced(15, &world("U1", vec![said("a")]));
        tour.saw(&world("U1", vec![said("a"), said("update due")]));
        assert_eq!(done(&tour), [Step::Start, Step::Remind]);
    }

    #[test]
    fn verbs_are_found_in_commands_values_and_ids() {
        let found = [
            "/incident run rollback web",
            "postmortem inc_1",
            "post-mortem",
            "roll_back",
            "incident_update",
            "details",
            "/incident help",
        ]
        .map(verb);
        assert_eq!(
            found,
            [
                Some(Step::Rollback),
                Some(Step::Postmortem),
                Some(Step::Postmortem),
                Some(Step::Rollback),
                None,
                None,
                None
            ]
        );
    }
}
