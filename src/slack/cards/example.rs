//! An incident to draw: one shop, three levels, a rollback. Scenes are made by replaying facts.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::incident::approval::{
    ActionPlan, ApprovalRule, Approver, CheckItem, CheckResult, CheckWhen, Choosing, Class, KeepState, PlanRequest,
    PlannedStep, Risk, Verdict, Verification,
};
use crate::incident::id::{DiagnosticId, IncidentId, PageId, RunId, UpdateId, UserId};
use crate::incident::people::{Actor, Contact, Role, Way};
use crate::incident::rules::{Audiences, Rules, RunbookAction, Service};
use crate::incident::severity::{EscalationLevel, EscalationPolicy, Severity};
use crate::incident::state::{Incident, Progress, replay};
use crate::incident::time::{Instant, Millis};
use crate::incident::timeline::{Entry, Fact, PageWhy};
use crate::incident::waiting::OpenIncidents;
use crate::incident::words::Words;
use crate::render::Renderer;
use crate::slack::scene::{Drawn, Scene};

static RENDERER: LazyLock<Renderer> = LazyLock::new(|| match Renderer::load(None) {
    Ok(renderer) => renderer,
    Err(fault) => panic!("{fault}"),
});

/// 20 November 2026, 14:16 UTC.
pub const START: Instant = Instant(1_795_184_160_000);

pub const INCIDENT: IncidentId = IncidentId(7);
pub const RUN: RunId = RunId { incident: INCIDENT, number: 1 };
pub const UPDATE: UpdateId = UpdateId { incident: INCIDENT, number: 1 };
pub const DIAGNOSTIC: DiagnosticId = DiagnosticId { incident: INCIDENT, number: 1 };

pub fn page(number: u32) -> PageId {
    PageId { incident: INCIDENT, number }
}

pub fn user(id: &str) -> UserId {
    UserId::from(id)
}

/// A timeline in the making, and what it is drawn with.
pub struct Stage {
    pub rules: Rules,
    pub timeline: Vec<Entry>,
    pub now: Instant,
    /// The plan that [`Stage::plan_shown`] shows.
    pub plan: ActionPlan,
    pub open: OpenIncidents,
    /// How the running step goes.
    pub progress: Option<Progress>,
    incident: Option<Incident>,
}

impl Stage {
    /// `checkout returns 500`, declared by the engineer; level 1 is paged.
    pub fn declared() -> Self {
        Self::titled("checkout returns 500")
    }

    pub fn titled(title: &str) -> Self {
        let rules = rules();
        let severity = rules.severities[0].clone();
        let engineer = rules.contacts["engineer"].clone();
        let mut stage = Self {
            rules,
            timeline: vec![],
            now: START,
            plan: plan(),
            open: OpenIncidents::default(),
            progress: None,
            incident: None,
        };
        let declared = Fact::Declared {
            id: INCIDENT,
            title: title.to_owned(),
            severity: Box::new(severity),
            service: Some("shop".into()),
            drill: false,
            locale: "en".into(),
            place: None,
        };
        stage.by("U0ENGINEER", declared);
        stage.vigie(Fact::Escalated { level: 0, round: 0, because_silent: false });
        for (number, way) in [(1, Way::Slack), (2, Way::Sms)] {
            let why = PageWhy::Level { level: 0, round: 0 };
            let paged =
                Fact::Paged { page: page(number), contact: Box::new(engineer.clone()), way, why, message: None };
            stage.vigie(paged);
        }
        stage
            .after(0)
            .vigie(Fact::ChannelOpened { channel: "C0INC7".into(), name: "inc-7-checkout-returns-500".into() });
        stage.vigie(Fact::PageDelivered { page: page(1), note: Some(Words::verbatim("ok")) });
        stage
    }

    /// Time passes.
    pub fn after(&mut self, seconds: i64) -> &mut Self {
        self.now = self.now + Millis::seconds(seconds);
        self
    }

    pub fn by(&mut self, who: &str, fact: Fact) -> &mut Self {
        self.entry(Actor::Person(user(who)), fact)
    }

    pub fn vigie(&mut self, fact: Fact) -> &mut Self {
        self.entry(Actor::Vigie, fact)
    }

    fn entry(&mut self, by: Actor, fact: Fact) -> &mut Self {
        let seq = self.incident.as_ref().map_or(1, |incident| incident.seq + 1);
        let entry = Entry { seq, at: self.now, by, fact };
        match &mut self.incident {
            Some(incident) => incident.apply(&entry),
            none => *none = Some(replay(std::slice::from_ref(&entry)).unwrap()),
        }
        self.timeline.push(entry);
        self
    }

    /// The incident's channel speaks this language from here on.
    pub fn speak(&mut self, locale: &str) -> &mut Self {
        if let Some(Entry { fact: Fact::Declared { locale: spoken, .. }, .. }) = self.timeline.first_mut() {
            *spoken = locale.into();
        }
        self.incident = Some(replay(&self.timeline).unwrap());
        self
    }

    pub fn acknowledged(&mut self) -> &mut Self {
        self.after(180).by("U0ENGINEER", Fact::Acknowledged)
    }

    pub fn plan_asked(&mut self) -> &mut Self {
        let action = Box::new(self.rules.actions["rollback-shop"].clone());
        self.after(60).by("U0ENGINEER", Fact::PlanAsked { run: RUN, action, request: PlanRequest::default() })
    }

    pub fn plan_shown(&mut self) -> &mut Self {
        self.plan_asked();
        let plan = self.plan.clone();
        let digest = plan.digest();
        let expires_at = self.now + Millis::minutes(15);
        self.after(2).vigie(Fact::PlanShown { run: RUN, plan: Box::new(plan), digest, expires_at })
    }

    /// Ticked, approved by the lead, announced, started.
    pub fn running(&mut self) -> &mut Self {
        self.plan_shown();
        self.after(10).by("U0ENGINEER", Fact::ItemTicked { run: RUN, item: "queue".into(), ticked: true });
        let digest = self.plan.digest();
        self.after(5).by("U0LEAD", Fact::ApprovalGiven { run: RUN, digest, override_reason: None });
        let run_by = self.now + Millis::seconds(10);
        self.by("U0LEAD", Fact::Approved { run: RUN, run_by, keeping: false });
        self.after(1).vigie(Fact::RunReleased { run: RUN, announced: true, without_state: false });
        self.vigie(Fact::RunStarted { run: RUN, fence: 1 });
        self.vigie(Fact::StepStarted { run: RUN, step: 0 })
    }

    pub fn step_done(&mut self, step: usize) -> &mut Self {
        let took = Millis::seconds(2);
        let note = Words::verbatim("3 of 3 pods ready");
        self.after(2).vigie(Fact::StepFinished { run: RUN, step, note, took, output: None, live: None })
    }

    pub fn incident(&self) -> &Incident {
        self.incident.as_ref().unwrap()
    }

    /// These incidents are open.
    pub fn opens(&mut self, worst: Vec<Incident>) {
        self.open = OpenIncidents { count: worst.len(), worst };
    }

    pub fn scene(&self) -> Scene<'_> {
        Scene {
            rules: &self.rules,
            render: &RENDERER,
            now: self.now,
            incident: self.incident.as_ref(),
            timeline: &self.timeline,
            open: &self.open,
            progress: self.progress.as_ref(),
            kept: None,
            workspace: Some("https://example.slack.com/"),
        }
    }
}

pub fn plan() -> ActionPlan {
    ActionPlan {
        action: "rollback-shop".into(),
        title: "Roll back the shop".into(),
        service: Some("shop".into()),
        class: Class::Urgent,
        steps: vec![
            PlannedStep {
                title: Words::verbatim("Switch the shop from v1.3.0 to v1.2.3"),
                target: "shop (production)".into(),
                locks: vec![],
                from: Some("v1.3.0".into()),
                to: "v1.2.3".into(),
                diff: vec![Words::verbatim("image: shop:1.3.0 → shop:1.2.3")],
                needs: vec![Words::verbatim("patch deployments/shop in production")],
                risk: Risk::Reversible,
                configured_at: None,
                always: false,
                after: Vec::new(),
                provider: "http".into(),
                spec: json!({}),
            },
            PlannedStep {
                title: Words::verbatim("Clear the page cache"),
                target: "cache (production)".into(),
                locks: vec![],
                from: None,
                to: "empty".into(),
                diff: vec![],
                needs: vec![],
                risk: Risk::Reversible,
                configured_at: None,
                always: false,
                after: Vec::new(),
                provider: "http".into(),
                spec: json!({}),
            },
        ],
        phases: vec![],
        why: ["error rate 7.2 % for 5 min (limit 5 %)", "v1.3.0 went live 6 min before"].map(Words::verbatim).into(),
        cautions: vec!["bad data rather than bad code".into()],
        will_not: vec!["the database".into()],
        stays_done: vec![],
        verification: vec![Verification::new("health", "health page"), Verification::new("errors", "error rate")],
        expected: Millis::seconds(40),
    }
}

pub fn results() -> Vec<CheckResult> {
    let result = |check: &str, title: &str, verdict, value: &str, limit: Option<&str>, took| CheckResult {
        check: check.into(),
        title: title.into(),
        verdict,
        value: Words::verbatim(value),
        limit: limit.map(Words::verbatim),
        took: Millis(took),
        figure: None,
        details: None,
    };
    vec![
        result("pay", "payment provider", Verdict::Hung, "", None, 15_000),
        result("errors", "error rate", Verdict::Fail, "7.2 %", Some("5 %"), 41),
        result("p95", "slowest requests", Verdict::Warn, "1.9 s", Some("2 s"), 60),
        result("health", "health page", Verdict::Pass, "200 in 41 ms", None, 41),
    ]
}

fn contact(key: &str, name: &str, id: &str) -> Contact {
    Contact {
        key: key.into(),
        name: name.into(),
        slack: Some(user(id)),
        email: Some(format!("{key}@example.com")),
        phone: Some("+15550100".into()),
        other: Default::default(),
        locale: None,
        zone: None,
        page_with: vec![Way::Slack, Way::Sms],
        fall_over: vec![Way::Voice],
    }
}

fn rules() -> Rules {
    let contacts = [
        contact("engineer", "On-call engineer", "U0ENGINEER"),
        contact("lead", "Operations lead", "U0LEAD"),
        contact("comms", "Communications lead", "U0COMMS"),
    ];
    let level = |contact: &Contact| EscalationLevel { contacts: vec![contact.clone()], wait: Millis::minutes(15) };
    let severity = Severity {
        key: "sev2".into(),
        label: "SEV2".into(),
        rank: 2,
        aliases: vec!["major".into()],
        criteria: "Some users cannot do something important.".into(),
        respond_within: Millis::minutes(15),
        update_every: Some(Millis::minutes(30)),
        update_grace: Millis::minutes(10),
        postmortem_required: true,
        call_link: Some("https://meet.example.com/inc".into()),
        propose: vec![],
        policy: EscalationPolicy {
            name: "standard".into(),
            levels: contacts.iter().map(level).collect(),
            repeat: 1,
            fallback: vec![],
        },
    };
    let action = RunbookAction {
        key: "rollback-shop".into(),
        title: "Roll back the shop".into(),
        service: Some("shop".into()),
        is_rollback: true,
        class: Class::Urgent,
        risk: Risk::Reversible,
        approval: ApprovalRule {
            by: vec![
                Approver::Contact { user: user("U0LEAD"), name: "Operations lead".into() },
                Approver::Role(Role::Commander),
            ],
            needed: 1,
            requester_may: false,
            expires_after: Millis::minutes(15),
        },
        checklist: vec![
            CheckItem {
                key: "queue".into(),
                text: "The order queue is drained".into(),
                required: true,
                when: CheckWhen::Before,
            },
            CheckItem { key: "told".into(), text: "Support is told".into(), required: false, when: CheckWhen::Before },
        ],
        choosing: Choosing::Nothing,
        drill: None,
        break_glass: None,
        window: None,
        keep_state: KeepState::Off,
    };
    let service =
        Service { key: "shop".into(), title: "Web shop".into(), checks: plan().verification, aliases: vec![] };
    Rules {
        severities: vec![severity],
        default_severity: "sev2".into(),
        contacts: contacts.into_iter().map(|contact| (contact.key.clone(), contact)).collect(),
        services: [("shop".to_owned(), service)].into(),
        actions: [("rollback-shop".to_owned(), action)].into(),
        announce_in: Some("C0OPS".into()),
        locale: "en".into(),
        zone: "Europe/Paris".into(),
        channel_prefix: "inc".into(),
        audiences: Audiences { internal: vec![], customer: vec!["status page".into()] },
        snooze: Millis::minutes(10),
        status_page: Some("https://status.example.com".into()),
        customer_contact: Some("support@example.com".into()),
        company: Some("Example Bookshop".into()),
        ..Rules::default()
    }
}

/// A message as a person sees it, line by line: `[button → line]`, `(menu: …)`.
pub fn sketch(drawn: &Drawn) -> String {
    let blocks = serde_json::to_value(&drawn.blocks).unwrap();
    format!("{}\n---\n{}", drawn.text, sketch_of(&blocks))
}

/// Blocks as a person sees them.
pub fn sketch_of(blocks: &Value) -> String {
    let mut out = String::new();
    for block in blocks.as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "header" => writeln!(out, "# {}", text(&block["text"])),
            "section" => {
                let beside = element(&block["accessory"]);
                writeln!(out, "{}{beside}", text(&block["text"]))
            }
            "context" => writeln!(out, "~ {}", text(&block["elements"][0])),
            "actions" => {
                let all: Vec<String> = block["elements"].as_array().unwrap().iter().map(element).collect();
                writeln!(out, "{}", all.concat().trim())
            }
            "rich_text" => writeln!(out, "```{}```", text(&block["elements"][0]["elements"][0])),
            "divider" => writeln!(out, "----"),
            "input" => writeln!(out, "{}: {}", text(&block["label"]), block["element"]["type"].as_str().unwrap()),
            other => panic!("a block of type {other}"),
        }
        .unwrap();
    }
    out
}

fn text(object: &Value) -> &str {
    object["text"].as_str().unwrap()
}

fn element(element: &Value) -> String {
    let options = element["options"].as_array();
    match element["type"].as_str() {
        Some("button") => {
            let mark = match element["style"].as_str() {
                Some("primary") => "*",
                Some("danger") => "!",
                _ => "",
            };
            let to = element["value"].as_str().or(element["url"].as_str()).unwrap();
            let asks = element["confirm"]["text"]["text"].as_str().map(|asks| format!(" ? {asks}"));
            format!(" [{mark}{} → {to}{}]", text(&element["text"]), asks.unwrap_or_default())
        }
        Some("overflow") => {
            let lines =
                options.unwrap().iter().map(|o| format!("{} → {}", text(&o["text"]), o["value"].as_str().unwrap()));
            format!(" (menu: {})", lines.collect::<Vec<_>>().join("; "))
        }
        Some(other) => panic!("an element of type {other}"),
        None => String::new(),
    }
}
