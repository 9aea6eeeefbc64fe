//! What people do in the simulation, and when: drawn from the seed before anything happens.

use crate::incident::command::parse;
use crate::incident::decision::{Input, ReplyTo};
use crate::incident::id::{ChannelId, IncidentId, UserId};
use crate::incident::people::Actor;
use crate::incident::time::{Instant, Millis};
use crate::store::Target;

/// Something that somebody types.
#[derive(Debug, Clone)]
pub(super) struct Said {
    /// Slack's id of the delivery.
    pub source: String,
    /// Who.
    pub who: &'static str,
    /// What.
    pub line: String,
    /// It is delivered until it is acknowledged, as Slack does with events.
    pub insists: bool,
}

impl Said {
    /// What the inbox is given.
    pub fn input(&self) -> (Target, Input) {
        let line = parse(&self.line).unwrap_or_else(|fault| panic!("{}: {fault:?}", self.line));
        let (user, channel) = (UserId::from(self.who), Some(ChannelId::from("C0GENERAL")));
        // By this address it is known again what an answer answers.
        let response_url = Some(self.source.clone());
        let reply = ReplyTo::Person { user: user.clone(), channel: channel.clone(), response_url };
        let target = Target { incident: line.incident, channel: channel.clone() };
        (target, Input::Command { by: Actor::Person(user), command: Box::new(line.command), channel, reply })
    }

    /// The text of a note, for it must stand in the timeline once.
    pub fn note(&self) -> Option<&str> {
        self.line.strip_prefix("note ").and_then(|rest| rest.split(" --in").next())
    }
}

/// Everything that is typed within an hour, with its moment.
pub(super) fn script(rng: &mut fastrand::Rng, begin: Instant) -> Vec<(Instant, Said)> {
    let mut script = Vec::new();
    let incidents = if rng.u32(..3) == 0 { 2 } else { 1 };
    for number in 1..=incidents {
        let start = if number == 1 { begin } else { begin + minutes(rng, 0..20) };
        of_incident(rng, &mut script, IncidentId(number), start);
    }
    script
}

fn of_incident(rng: &mut fastrand::Rng, script: &mut Vec<(Instant, Said)>, id: IncidentId, start: Instant) {
    let mut say = |at: Instant, who: &'static str, line: String| {
        let source = format!("slack:{id}:{}", script.len());
        script.push((at, Said { source, who, insists: line.starts_with("start"), line }));
    };
    let severity = if rng.bool() { "sev1" } else { "sev2" };
    say(start, "U0SUPPORT", format!("start {severity} checkout returns 500 --service shop"));
    // What concerns an incident is typed once its number can be known.
    let later = start + Millis::seconds(20);
    if rng.u32(..10) < 7 {
        say(later + minutes(rng, 0..50), "U0ONCALL", format!("ack --in {id}"));
    }
    for number in 0..rng.u32(..4) {
        say(later + minutes(rng, 0..60), "U0ONCALL", format!("note seen-{id}-{number} --in {id}"));
    }
    if rng.u32(..10) < 6 {
        let asked = later + minutes(rng, 0..30);
        say(asked, "U0ONCALL", format!("rollback --in {id}"));
        let run = format!("run_{}_1", id.0);
        match rng.u32(..10) {
            0..=6 => say(asked + minutes(rng, 0..12), "U0LEAD", format!("approve {run} --in {id}")),
            7 => say(asked + minutes(rng, 0..12), "U0LEAD", format!("reject {run} not now --in {id}")),
            // Too late: the plan has expired.
            8 => say(asked + Millis::minutes(20), "U0LEAD", format!("approve {run} --in {id}")),
            _ => {}
        }
        if rng.u32(..4) == 0 {
            // A second click, a moment later, by somebody else.
            say(asked + minutes(rng, 0..12), "U0DBA", format!("approve {run} --in {id}"));
        }
        afterwards(rng, &mut say, id, asked);
    }
    if rng.u32(..3) == 0 {
        say(later + minutes(rng, 0..40), "U0ONCALL", format!("page lead --in {id}"));
    }
    if rng.u32(..3) == 0 {
        say(later + minutes(rng, 5..50), "U0LEAD", format!("update we look at it --in {id}"));
    }
    if rng.u32(..4) == 0 {
        say(later + minutes(rng, 2..40), "U0ONCALL", format!("severity sev1 --in {id}"));
    }
    match rng.u32(..10) {
        0..=4 => say(later + minutes(rng, 20..70), "U0ONCALL", format!("resolve it was the network --in {id}")),
        5 => say(later + minutes(rng, 1..30), "U0SUPPORT", format!("cancel a false alarm --in {id}")),
        _ => {}
    }
}

/// What people try about a run that did not end well, or that was no help. They do not look first, so most of it is refused.
fn afterwards(
    rng: &mut fastrand::Rng,
    say: &mut impl FnMut(Instant, &'static str, String),
    id: IncidentId,
    asked: Instant,
) {
    let (run, back) = (format!("run_{}_1", id.0), format!("run_{}_2", id.0));
    for _ in 0..rng.u32(..3) {
        say(asked + minutes(rng, 1..20), "U0LEAD", format!("retry {run} --in {id}"));
    }
    for _ in 0..rng.u32(..4) {
        say(asked + minutes(rng, 1..40), "U0DBA", format!("skip {run} done by hand --in {id}"));
    }
    if rng.u32(..2) == 0 {
        let again = asked + minutes(rng, 5..40);
        say(again, "U0ONCALL", format!("undo {run} --in {id}"));
        say(again + minutes(rng, 0..10), "U0DBA", format!("approve {back} --in {id}"));
    }
}

/// A length within these minutes, to the millisecond.
fn minutes(rng: &mut fastrand::Rng, range: std::ops::Range<i64>) -> Millis {
    Millis(rng.i64(range.start * 60_000..range.end * 60_000))
}
