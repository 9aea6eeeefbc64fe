//! Scripts for the core: each line is a time and what happens; the transcript shows what was decided.
//!
//! `0 oncall start sev2 checkout returns 500` — a person types; `16m wake` — time passes and the engine wakes;
//! `report …` lines are given in Rust. Every transcript ends with the demand that the timeline replays to the state.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vigie::incident::approval::{
    ActionPlan, ApprovalRule, Approver, CheckItem, CheckWhen, Choosing, Class, KeepState, PlannedStep, Risk,
    Verification,
};
use vigie::incident::command::parse;
use vigie::incident::decision::{Context, Decision, Effect, Input, ReplyTo, Report, decide};
use vigie::incident::id::{ChannelId, IncidentId, UserId};
use vigie::incident::people::{Actor, Contact, Way};
use vigie::incident::rules::{Audiences, Rules, RunbookAction, Service};
use vigie::incident::severity::{EscalationLevel, EscalationPolicy, Severity};
use vigie::incident::state::{Incident, replay};
use vigie::incident::time::{Instant, Millis};
use vigie::incident::timeline::{Entry, Fact, PageWhy};
use vigie::incident::words::Words;

/// When every script begins: a Friday night.
pub const START: Instant = Instant(1_795_140_000_000);

pub fn contact(key: &str, page_with: &[Way], fall_over: &[Way]) -> Contact {
    Contact {
        key: key.into(),
        name: key.to_uppercase(),
        slack: Some(UserId(format!("U0{}", key.to_uppercase()))),
        email: Some(format!("{key}@example.com")),
        phone: Some("+15550100".into()),
        other: BTreeMap::new(),
        locale: None,
        zone: None,
        page_with: page_with.to_vec(),
        fall_over: fall_over.to_vec(),
    }
}

pub fn severity(key: &str, rank: u8, policy: &str, levels: Vec<Vec<Contact>>, fallback: Vec<Contact>) -> Severity {
    let level = |contacts| EscalationLevel { contacts, wait: Millis::minutes(15) };
    Severity {
        key: key.into(),
        label: key.to_uppercase(),
        rank,
        aliases: vec![format!("p{rank}")],
        criteria: String::new(),
        respond_within: Millis::minutes(15),
        update_every: Some(Millis::minutes(30)),
        update_grace: Millis::minutes(10),
        postmortem_required: rank == 1,
        call_link: None,
        propose: vec![],
        policy: EscalationPolicy {
            name: policy.into(),
            levels: levels.into_iter().map(level).collect(),
            repeat: 1,
            fallback,
        },
    }
}

pub fn rules() -> Rules {
    let both = [Way::Slack, Way::Email];
    let oncall = contact("oncall", &both, &[Way::Sms, Way::Voice]);
    let (lead, cto, comms) =
        (contact("lead", &both, &[]), contact("cto", &both, &[]), contact("comms", &[Way::Slack], &[]));
    let security = contact("security", &[Way::Slack], &[]);
    let two = severity("sev2", 2, "normal", vec![vec![oncall.clone()], vec![lead.clone()]], vec![cto.clone()]);
    let one = severity(
        "sev1",
        1,
        "grave",
        vec![vec![oncall.clone(), security.clone()], vec![cto.clone()]],
        vec![cto.clone()],
    );
    let three = severity("sev3", 3, "normal", two.policy.levels.iter().map(|l| l.contacts.clone()).collect(), vec![]);
    let shop = Service {
        key: "shop".into(),
        title: "Shop".into(),
        checks: vec![Verification::new("health", "Health")],
        aliases: vec!["checkout".into()],
    };
    let approver =
        |contact: &Contact| Approver::Contact { user: contact.slack.clone().unwrap(), name: contact.name.clone() };
    let rollback = RunbookAction {
        key: "rollback-shop".into(),
        title: "Roll back the shop".into(),
        service: Some("shop".into()),
        is_rollback: true,
        class: Class::Urgent,
        risk: Risk::Reversible,
        approval: ApprovalRule {
            by: vec![approver(&lead), approver(&cto), approver(&oncall)],
            needed: 1,
            requester_may: false,
            expires_after: Millis::minutes(15),
        },
        checklist: vec![CheckItem {
            key: "backup".into(),
            text: "A backup exists".into(),
            required: true,
            when: CheckWhen::Before,
        }],
        choosing: Choosing::Nothing,
        drill: None,
        break_glass: None,
        window: None,
        keep_state: KeepState::Off,
    };
    Rules {
        severities: vec![one, two, three],
        default_severity: "sev2".into(),
        contacts: [oncall, lead, cto, comms, security].into_iter().map(|c| (c.key.clone(), c)).collect(),
        services: [(shop.key.clone(), shop)].into(),
        actions: [(rollback.key.clone(), rollback)].into(),
        announce_in: Some(ChannelId("C0INC".into())),
        locale: "en".into(),
        zone: "UTC".into(),
        channel_prefix: "inc-".into(),
        audiences: Audiences { internal: vec![], customer: vec!["customers".into()] },
        snooze: Millis::minutes(10),
        ..Rules::default()
    }
}

pub fn plan(to: &str, risk: Risk) -> ActionPlan {
    ActionPlan {
        action: "rollback-shop".into(),
        title: "Roll back the shop".into(),
        service: Some("shop".into()),
        class: Class::Urgent,
        steps: vec![PlannedStep {
            title: Words::verbatim(format!("Switch the shop to {to}")),
            target: "http:shop".into(),
            locks: vec![],
            from: Some("v2".into()),
            to: to.into(),
            diff: vec![],
            needs: vec![],
            risk,
            configured_at: None,
            always: false,
            after: Vec::new(),
            provider: "http_switch".into(),
            spec: serde_json::json!({}),
        }],
        phases: vec![],
        why: vec![],
        cautions: vec![],
        will_not: vec![],
        stays_done: vec![],
        verification: vec![],
        expected: Millis::seconds(30),
    }
}

/// An incident played by hand, and what was decided on the way.
pub struct Script {
    pub rules: Rules,
    pub now: Instant,
    pub incident: Option<Incident>,
    /// The channel that people type in.
    pub place: Option<ChannelId>,
    pub timeline: Vec<Entry>,
    pub transcript: String,
}

impl Script {
    pub fn new() -> Self {
        Self {
            rules: rules(),
            now: START,
            incident: None,
            place: None,
            timeline: Vec::new(),
            transcript: String::new(),
        }
    }

    /// Plays lines `<minutes>m <who> <command>` or `<minutes>m wake`.
    pub fn play(&mut self, script: &str) -> &mut Self {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (at, rest) = line.split_once(' ').unwrap();
            let minutes: i64 = at.trim_end_matches('m').parse().unwrap();
            self.now = START + Millis::minutes(minutes);
            writeln!(self.transcript, "{line}").unwrap();
            match rest.split_once(' ') {
                None if rest == "wake" => self.give(&Input::Wake),
                Some((who, command)) => self.say(who, command),
                None => panic!("not a line of a script: {line}"),
            }
        }
        self
    }

    fn say(&mut self, who: &str, command: &str) {
        let user = UserId(format!("U0{}", who.to_uppercase()));
        match parse(command) {
            Err(usage) => writeln!(self.transcript, "    usage: {}", usage.0.key).unwrap(),
            Ok(line) => self.give(&Input::Command {
                by: Actor::Person(user.clone()),
                command: Box::new(line.command),
                channel: self.place.clone(),
                reply: ReplyTo::Person { user, channel: None, response_url: None },
            }),
        }
    }

    pub fn report(&mut self, report: Report) -> &mut Self {
        let value = serde_json::to_value(&report).unwrap();
        writeln!(self.transcript, "  report {}", value["report"].as_str().unwrap()).unwrap();
        self.give(&Input::Report(report));
        self
    }

    pub fn give(&mut self, input: &Input) {
        let by = input.by();
        let (channel, reply) = match input {
            Input::Command { channel, reply, .. } => (channel.clone(), reply.clone()),
            _ => (None, ReplyTo::Nobody),
        };
        let context = Context {
            rules: &self.rules,
            now: self.now,
            by: &by,
            channel: channel.as_ref(),
            reply: &reply,
            fresh: IncidentId(7),
            member_of: None,
        };
        match decide(context, self.incident.as_ref(), input) {
            Err(refusal) => {
                writeln!(self.transcript, "    refused: {} {}", refusal.0.key, vars(&refusal.0.vars)).unwrap()
            }
            Ok(decision) => self.take(&by, decision),
        }
        if let Some(incident) = &self.incident {
            assert_eq!(&replay(&self.timeline).unwrap(), incident, "the timeline replays to the state");
            let kept: Incident = serde_json::from_str(&serde_json::to_string(incident).unwrap()).unwrap();
            assert_eq!(&kept, incident, "the state survives being stored");
        }
    }

    fn take(&mut self, by: &Actor, decision: Decision) {
        for fact in decision.facts {
            let seq = self.incident.as_ref().map_or(0, |incident| incident.seq) + 1;
            writeln!(self.transcript, "    {}", shown(&fact)).unwrap();
            let entry = Entry { seq, at: self.now, by: by.clone(), fact };
            match &mut self.incident {
                Some(incident) => incident.apply(&entry),
                None => self.incident = Some(Incident::declared(&entry).unwrap()),
            }
            self.timeline.push(entry);
        }
        let effects: Vec<String> = decision.effects.iter().filter_map(short).collect();
        if !effects.is_empty() {
            writeln!(self.transcript, "    → {}", effects.join(", ")).unwrap();
        }
    }

    /// Plays and gives what followed, and nothing of what was before.
    pub fn then(&mut self, script: &str) -> String {
        let before = self.transcript.len();
        self.play(script);
        self.transcript.split_off(before)
    }

    /// Reports and gives what followed, and nothing of what was before.
    pub fn then_report(&mut self, report: Report) -> String {
        let before = self.transcript.len();
        self.report(report);
        self.transcript.split_off(before)
    }

    /// Minutes from the start until it wakes by itself.
    pub fn wakes_in(&self) -> Option<i64> {
        let at = self.incident.as_ref().and_then(Incident::wake_at)?;
        Some(at.since(START).whole_minutes())
    }
}

fn vars(vars: &serde_json::Map<String, serde_json::Value>) -> String {
    if vars.is_empty() { String::new() } else { serde_json::Value::Object(vars.clone()).to_string() }
}

fn shown(fact: &Fact) -> String {
    match fact {
        Fact::Paged { page, contact, way, why, .. } => {
            let why = match why {
                PageWhy::Level { level, round } => format!("level {} round {}", level + 1, round + 1),
                other => format!("{other:?}"),
            };
            format!("paged {} by {way} ({page}, {why})", contact.key)
        }
        Fact::Escalated { level, round, because_silent } => {
            format!(
                "escalated to level {} round {}{}",
                level + 1,
                round + 1,
                if *because_silent { " (silence)" } else { "" }
            )
        }
        Fact::UpdateReminded { number, who, .. } => format!("update_reminded {number} {who:?}"),
        other => other.kind(),
    }
}

fn short(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Page { page, way, .. } => format!("{way}:{page}"),
        Effect::ShowCard { card } => format!("[{}]", card.name()),
        Effect::Reply { words, .. } => format!("“{}”", words.key),
        Effect::Topic | Effect::Home { .. } => return None,
        Effect::Invite { users } => {
            format!("invite {}", users.iter().map(|u| u.0.as_str()).collect::<Vec<_>>().join("+"))
        }
        other => serde_json::to_value(other).unwrap()["effect"].as_str().unwrap().to_owned(),
    })
}
