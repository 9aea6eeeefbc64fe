//! Who reads, and in which words: the renderer with a language, and people as templates want them.

use serde_json::{Value, json};

use super::markup::Mrkdwn;
use crate::incident::id::UserId;
use crate::incident::people::{Actor, Contact, Role};
use crate::incident::rules::Rules;
use crate::incident::state::{Incident, Phase, Progress, Run};
use crate::incident::time::{Instant, Millis};
use crate::incident::words::Words;
use crate::render::{Locale, RenderFault, Renderer};
use crate::slack::scene::Scene;

/// What a sentence costs: nothing, or a fault in a template.
pub type Said<T = Mrkdwn> = Result<T, RenderFault>;

/// A language to write in, and what may be looked up while writing.
#[derive(Clone, Copy)]
pub struct Pen<'a> {
    /// Texts.
    pub render: &'a Renderer,
    /// The team's rules.
    pub rules: &'a Rules,
    /// Now.
    pub now: Instant,
    /// The reader's language.
    pub locale: Locale,
    /// The reader's IANA zone, for the words beside a Slack date and for paper.
    pub zone: &'a str,
    /// The workspace's address, where it is known.
    pub workspace: Option<&'a str>,
    /// How the running step of the run that is drawn goes.
    pub progress: Option<&'a Progress>,
}

impl<'a> Pen<'a> {
    /// Writes in `locale`.
    pub fn new(scene: &Scene<'a>, locale: Locale) -> Self {
        Self {
            render: scene.render,
            rules: scene.rules,
            now: scene.now,
            locale,
            zone: &scene.rules.zone,
            workspace: scene.workspace,
            progress: scene.progress,
        }
    }

    /// Writes for everybody in the incident's channel.
    pub fn for_channel(scene: &Scene<'a>, incident: &Incident) -> Self {
        Self::new(scene, locale(&incident.locale))
    }

    /// Writes for one person of the plan.
    pub fn for_contact(scene: &Scene<'a>, contact: &Contact) -> Self {
        let own = contact.locale.as_deref();
        Self::new(scene, locale(own.unwrap_or(&scene.rules.locale)))
    }

    /// Writes for one person in Slack, who may be none of the plan.
    pub fn for_user(scene: &Scene<'a>, user: &UserId) -> Self {
        match scene.rules.contact_of(user) {
            Some(contact) => Self::for_contact(scene, contact),
            None => Self::new(scene, locale(&scene.rules.locale)),
        }
    }

    /// A label as mrkdwn; variables are escaped.
    ///
    /// # Errors
    /// When the label does not exist or lacks a variable.
    pub fn say(&self, key: &str, vars: Value) -> Said {
        self.render.label(self.locale, key, &self.zoned(vars)).map(Mrkdwn::made)
    }

    /// A label as plain text, for headers, buttons and options.
    ///
    /// # Errors
    /// As [`Pen::say`].
    pub fn plain(&self, key: &str, vars: Value) -> Said<String> {
        self.render.label_plain(self.locale, key, &self.zoned(vars))
    }

    /// A label without variables as plain text.
    ///
    /// # Errors
    /// As [`Pen::say`].
    pub fn word(&self, key: &str) -> Said<String> {
        self.plain(key, json!({}))
    }

    /// A whole message of `templates/<locale>/`, as mrkdwn.
    ///
    /// # Errors
    /// When the template does not exist or lacks a variable.
    pub fn message(&self, name: &str, vars: &Value) -> Said {
        self.render.slack(self.locale, name, vars).map(Mrkdwn::made)
    }

    /// The variables with the zone that instants are written in.
    fn zoned(&self, mut vars: Value) -> Value {
        if let Some(fields) = vars.as_object_mut()
            && !self.zone.is_empty()
        {
            fields.insert("tz".to_owned(), json!(self.zone));
        }
        vars
    }

    /// Somebody as the template helper `person` wants them: a mention in Slack, the contact's name elsewhere.
    pub fn person(&self, user: &UserId) -> Value {
        let known = self.rules.contact_of(user);
        let name = known.map_or(user.0.as_str(), |contact| contact.name.as_str());
        json!({"id": user.0, "name": name})
    }

    /// Whoever caused something, as the helper `person` wants them.
    pub fn actor(&self, by: &Actor) -> Value {
        match by {
            Actor::Person(user) => self.person(user),
            Actor::Terminal(account) => json!({"id": null, "name": account}),
            Actor::Vigie => json!({"id": null, "name": "Vigie"}),
        }
    }

    /// Somebody of the plan, as the helper `person` wants them.
    pub fn contact(contact: &Contact) -> Value {
        let id = contact.slack.as_ref().map(|user| user.0.as_str());
        json!({"id": id, "name": contact.name})
    }

    /// A sentence of the core as plain text, for lists and other places that take no sentence within a sentence.
    ///
    /// # Errors
    /// As [`Pen::say`].
    pub fn told(&self, words: &Words) -> Said<String> {
        self.plain("words.verbatim", json!({"text": words}))
    }

    /// The address of the incident's channel, once it is open and Slack has told the workspace's.
    pub fn link(&self, incident: &Incident) -> Option<String> {
        let channel = incident.usable_channel()?;
        Some(format!("{}/archives/{}", self.workspace?.trim_end_matches('/'), channel.id))
    }

    /// The service's name for people, else its key.
    pub fn service<'s>(&'s self, key: &'s str) -> &'s str {
        self.rules.services.get(key).map_or(key, |service| service.title.as_str())
    }
}

/// The language of this name; English when there are no templates for it.
pub fn locale(name: &str) -> Locale {
    name.parse().unwrap_or_default()
}

/// How long it has lasted, to the minute; nothing in the first.
pub fn elapsed_ms(pen: &Pen<'_>, incident: &Incident) -> i64 {
    Millis::minutes(incident.duration(pen.now).whole_minutes()).0
}

/// The colour of a severity; always shown with its word.
pub fn emoji(rank: u8) -> &'static str {
    match rank {
        0 | 1 => "🔴",
        2 => "🟠",
        3 => "🟡",
        _ => "🔵",
    }
}

/// `🔴 SEV2 · checkout returns 500`: what every message about an incident begins with.
///
/// # Errors
/// As [`Pen::say`].
pub fn headline(pen: &Pen<'_>, incident: &Incident) -> Said {
    pen.say("card.headline", headline_vars(incident))
}

/// [`headline`] as plain text.
///
/// # Errors
/// As [`Pen::say`].
pub fn plain_headline(pen: &Pen<'_>, incident: &Incident) -> Said<String> {
    pen.plain("card.headline", headline_vars(incident))
}

fn headline_vars(incident: &Incident) -> Value {
    json!({
        "emoji": emoji(incident.severity.rank),
        "severity": incident.severity.label,
        "title": incident.title,
        "drill": incident.drill,
    })
}

/// The run that is changing something at this moment, and when it should have done it.
fn under_way<'i>(pen: &Pen<'_>, incident: &'i Incident) -> Option<(&'i str, Instant)> {
    let busy = |run: &&Run| {
        matches!(run.phase, Phase::Announcing { .. } | Phase::Released | Phase::Running | Phase::Verifying)
    };
    let run = incident.runs.values().rev().find(busy)?;
    let plan = run.plan.as_ref()?;
    Some((plan.title.as_str(), run.started_at.unwrap_or(pen.now) + plan.expected))
}

/// What the messages of the field procedures (M1–M7) are written with.
pub fn message_vars(pen: &Pen<'_>, incident: &Incident) -> Value {
    let under_way = under_way(pen, incident);
    let commander = incident.roles.get(&Role::Commander);
    let services: Vec<&str> = incident.service.iter().map(|key| pen.service(key)).collect();
    json!({
        "incident": incident.id.to_string(),
        "drill": incident.drill,
        "title": incident.title,
        "severity": incident.severity.key,
        "severity_label": incident.severity.label,
        "severity_emoji": emoji(incident.severity.rank),
        "status": incident.status.word(),
        "services": services,
        "impact": incident.resolution.as_ref().and_then(|resolution| resolution.impact.clone()),
        "action": under_way.map(|(title, _)| title),
        "started_at": incident.declared.at.0,
        "now": pen.now.0,
        "elapsed_ms": elapsed_ms(pen, incident),
        "eta_at": under_way.map(|(_, ends_at)| ends_at.0),
        "next_update_at": incident.update_due.promised.map(|at| at.0),
        "commander": commander.map(|user| pen.person(user)),
        "link": pen.link(incident),
        "call_link": incident.severity.call_link,
        "status_page": pen.rules.status_page,
        "contact": pen.rules.customer_contact,
        "company": pen.rules.company,
        "tz": Some(pen.zone).filter(|zone| !zone.is_empty()),
    })
}
