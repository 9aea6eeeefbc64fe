//! The people of the team. They type, and try again when Slack says that it failed; what they were told is remembered.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use vigie::clock::Clock;
use vigie::incident::approval::Outcome;
use vigie::incident::id::IncidentId;
use vigie::incident::state::{Incident, Phase, Run, Status};
use vigie::incident::time::Instant;
use vigie::practice::CommandAck;

use super::town::Town;
use super::{pass, until};

/// Where everybody types.
const GENERAL: &str = "C0GENERAL";
/// How long people keep on trying.
const PATIENCE: Duration = Duration::from_secs(150);
/// How soon they try again; later when Slack let them wait, for then they look around first.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AFTER_SILENCE: Duration = Duration::from_secs(6);

/// From one incident to the next: Slack takes so many changes of cards in a minute and no more, and Vigie keeps to that.
const REST: Duration = Duration::from_secs(5);

/// What a line leaves in the timeline, with its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    Declared,
    Note,
    Update,
}

/// A line that was typed. Each has a text of its own.
#[derive(Debug, Clone)]
pub struct Said {
    pub trace: Trace,
    pub text: String,
    /// When Slack was told that it was taken; `None` when it was not told so.
    pub promised: Option<Instant>,
}

/// Everybody.
pub struct People<'t> {
    town: &'t Town,
    clock: Clock,
    said: RefCell<Vec<Said>>,
    answers: RefCell<Vec<String>>,
    number: Cell<u32>,
}

impl<'t> People<'t> {
    pub fn of(town: &'t Town) -> Self {
        let (said, answers, number) = (RefCell::default(), RefCell::default(), Cell::default());
        Self { town, clock: Clock::system(), said, answers, number }
    }

    /// Every line that leaves a trace.
    pub fn said(&self) -> Vec<Said> {
        self.said.borrow().clone()
    }

    /// What they were answered at once when a line was not taken.
    pub fn answers(&self) -> Vec<String> {
        self.answers.borrow().clone()
    }

    /// Two groups, each with one incident after the other, until it is over; what was begun is ended.
    pub async fn work(&self, is_over: &Cell<bool>) {
        tokio::join!(self.incidents(true, is_over), self.incidents(false, is_over));
    }

    async fn incidents(&self, can_roll_back: bool, is_over: &Cell<bool>) {
        let mut is_patient = can_roll_back;
        loop {
            self.incident(is_patient, can_roll_back).await;
            self.end_the_unexpected().await;
            is_patient = !is_patient;
            if is_over.get() {
                return;
            }
            pass(REST).await;
        }
    }

    /// One incident from the first word to the last. Patient people let it climb to the next level first.
    pub async fn incident(&self, is_patient: bool, rolls_back: bool) {
        let number = self.declare("sev2").await;
        self.says(Trace::Note, "U0ONCALL", &format!("note --in inc_{number}"), "looking into it").await;
        if is_patient {
            self.see("the next level is paged", number, |incident| (incident.ladder.level > 0).then_some(())).await;
        }
        self.insists("U0ONCALL", &format!("ack --in inc_{number}")).await;
        self.see("the answer", number, |incident| incident.acknowledged.clone()).await;
        if rolls_back {
            self.roll_back(number).await;
        }
        self.says(Trace::Update, "U0ONCALL", &format!("update --in inc_{number}"), "we are on it").await;
        self.says(Trace::Note, "U0LEAD", &format!("note --in inc_{number}"), "it works again").await;
        self.insists("U0ONCALL", &format!("resolve --in inc_{number} it works again")).await;
        self.see("the end", number, |incident| (incident.status == Status::Resolved).then_some(())).await;
    }

    /// Declares an incident and waits until it has a number.
    pub async fn declare(&self, severity: &str) -> i64 {
        let title = self.says(Trace::Declared, "U0ONCALL", &format!("start {severity}"), "checkout fails").await;
        let declared = async || {
            let incidents = self.town.store.recent_incidents(100).await.ok()?;
            incidents.into_iter().find(|incident| incident.title == title).map(|incident| incident.id.0)
        };
        until(&format!("“{title}” is declared"), PATIENCE, declared).await
    }

    /// The plan is asked for, ticked and approved, and runs to its end.
    async fn roll_back(&self, number: i64) {
        self.town.setup.shop.break_it();
        self.insists("U0ONCALL", &format!("rollback --in inc_{number}")).await;
        self.see("the plan", number, |incident| run_of(incident).filter(|run| run.phase == Phase::Pending)).await;
        self.insists("U0LEAD", &format!("tick run_{number}_1 data")).await;
        self.see("the tick", number, |incident| run_of(incident).filter(|run| run.ticked.contains("data"))).await;
        self.insists("U0LEAD", &format!("approve run_{number}_1")).await;
        let ended = |incident: &Incident| run_of(incident).filter(|run| matches!(run.phase, Phase::Finished { .. }));
        let run = self.see("the end of the rollback", number, ended).await;
        if matches!(run.phase, Phase::Finished { outcome: Outcome::Unknown { .. } }) {
            let truth = if self.town.setup.shop.state().switch.active == "v1" { "happened" } else { "not-happened" };
            self.insists("U0LEAD", &format!("settle run_{number}_1 {truth}")).await;
            self.see("the truth", number, |incident| run_of(incident)?.settled).await;
        }
    }

    /// Answers and ends the incidents that were declared though Slack had said that it failed. Those that stay open are
    /// reminded of their updates for ever, at more edits a minute than Slack takes.
    pub async fn end_the_unexpected(&self) {
        let failed = |title: &str| self.said.borrow().iter().any(|said| said.text == title && said.promised.is_none());
        let unexpected = async || {
            let mut open = self.town.store.open_incidents().await.ok()?;
            open.worst.retain(|incident| failed(&incident.title));
            Some(open.worst)
        };
        for incident in until("a list of what is open", PATIENCE, unexpected).await {
            self.insists("U0ONCALL", &format!("ack --in {}", incident.id)).await;
            self.see("the answer", incident.id.0, |incident| incident.acknowledged.clone()).await;
            self.insists("U0ONCALL", &format!("resolve --in {} it was declared twice", incident.id)).await;
            self.see("the end", incident.id.0, |incident| (incident.status == Status::Resolved).then_some(())).await;
        }
    }

    /// Waits until an incident is being worked on.
    pub async fn are_busy(&self) {
        let busy = async || self.town.store.open_incidents().await.is_ok_and(|open| open.count > 0).then_some(());
        until("an incident is open", PATIENCE, busy).await;
    }

    /// Types a line that leaves a trace, each time with a text of its own, until Slack shows that it was taken. Gives the
    /// text that was.
    pub async fn says(&self, trace: Trace, who: &str, command: &str, text: &str) -> String {
        let taken = async || {
            self.number.set(self.number.get() + 1);
            let text = format!("t{} {text}", self.number.get());
            let promised = self.types(who, &format!("{command} {text}")).await;
            self.said.borrow_mut().push(Said { trace, text: text.clone(), promised });
            promised.map(|_| text)
        };
        self.again_and_again(command, taken).await
    }

    /// Types a line until Slack shows that it was taken.
    pub async fn insists(&self, who: &str, line: &str) {
        self.again_and_again(line, async || self.types(who, line).await.map(|_| ())).await;
    }

    async fn again_and_again<T>(&self, line: &str, mut taken: impl AsyncFnMut() -> Option<T>) -> T {
        let tried = async || match taken().await {
            None => {
                let silence = self.answers.borrow().last().is_some_and(|answer| answer.contains("operation_timeout"));
                pass(if silence { AGAIN_AFTER_SILENCE } else { AGAIN }).await;
                None
            }
            taken => taken,
        };
        until(&format!("/incident {line}"), PATIENCE, tried).await
    }

    /// Types a line once. When Slack showed that it was taken, if it did.
    pub async fn types(&self, who: &str, line: &str) -> Option<Instant> {
        let ack = self.town.ws().person(who).command(GENERAL, "/incident", line).await;
        let answer = ack.failure.clone().or_else(|| ack.text().map(str::to_owned));
        if is_promise(&ack) {
            return Some(self.clock.now());
        }
        self.answers.borrow_mut().extend(answer);
        None
    }

    /// Waits until the run of an incident is like this.
    pub async fn waits_for(&self, number: i64, look: &dyn Fn(&Run) -> bool) -> Run {
        self.see("its run", number, |incident| run_of(incident).filter(|run| look(run))).await
    }

    /// Waits until an incident is like this.
    async fn see<T>(&self, what: &str, number: i64, look: impl Fn(&Incident) -> Option<T>) -> T {
        let seen = async || look(&self.town.store.incident(IncidentId(number)).await.ok()??);
        until(&format!("inc_{number}: {what}"), PATIENCE, seen).await
    }
}

/// An acknowledgement without words, or one that says that the incident is being declared, is a promise; any other
/// words are the reason why there is none.
fn is_promise(ack: &CommandAck) -> bool {
    ack.failure.is_none() && ack.text().is_none_or(|text| text.contains("is being declared"))
}

fn run_of(incident: &Incident) -> Option<Run> {
    incident.runs.values().next().cloned()
}
