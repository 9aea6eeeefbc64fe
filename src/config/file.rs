//! The configuration file as the team writes it. `examples/reference.yml` shows every key with its meaning.
//!
//! These types only say what may stand where; what it means, and whether it fits together, is for [`super::compile`].
//! No `flatten`, `untagged` or `tag` here: they would lose the places of faults.

use std::path::PathBuf;

use serde::Deserialize;

use super::words::{
    ApproverWord, At, CalendarDay, Day, Email, Entries, Length, Link, Locale, Name, Phone, Prefix, SlackChannel,
    SlackPerson, TimeOfDay, Zone,
};
use crate::actions::check::CheckConfig;
use crate::actions::config::LimitsConfig;
use crate::actions::kubernetes::ClusterConfig;
use crate::actions::postgres::DatabaseConfig;
use crate::actions::provider::StepConfig;
use crate::comms::AudienceConfig;
use crate::incident::approval::{CheckWhen, Class, KeepState, Risk};
use crate::incident::people::Way;
use crate::incident::time::Millis;
use crate::paging::PagingConfig;

/// The whole file.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// How Vigie behaves in this workspace.
    pub workspace: Workspace,
    /// The severities, worst first (E1).
    pub severities: Vec<Severity>,
    /// Everybody of the emergency plan (E3).
    pub contacts: Entries<Contact>,
    /// Who is paged, level by level (E2).
    pub policies: Entries<Policy>,
    /// What the team runs.
    #[serde(default)]
    pub services: Entries<Service>,
    /// The Kubernetes clusters that actions reach.
    #[serde(default)]
    pub clusters: Entries<ClusterConfig>,
    /// The databases that checks look into and actions care for.
    #[serde(default)]
    pub databases: Entries<DatabaseConfig>,
    /// When actions may be approved (P8).
    #[serde(default)]
    pub windows: Entries<Window>,
    /// What people may run.
    #[serde(default)]
    pub actions: Entries<Action>,
    /// Who agrees to what customers read.
    #[serde(default)]
    pub updates: Updates,
    /// The ways to page that need setting up (E4).
    #[serde(default)]
    pub paging: PagingConfig,
    /// Where texts for the company and for customers go (section 8).
    #[serde(default)]
    pub audiences: Entries<AudienceConfig>,
    /// How long looking and doing may take.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// How Vigie looks after itself.
    #[serde(default)]
    pub watch: Watch,
}

/// `watch:`
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Watch {
    /// Contacts who are told, by anything but Slack, when Vigie itself has trouble.
    #[serde(default)]
    pub tell: Vec<At<Name>>,
    /// Called every minute while all is well; a service of yours raises the alarm when it falls silent.
    pub heartbeat: Option<At<Link>>,
    /// A quiet channel that Vigie is in, where it looks every five minutes whether Slack is heard.
    pub canary: Option<SlackChannel>,
}

/// `workspace:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Workspace {
    /// The team's language.
    #[serde(default = "english")]
    pub locale: Locale,
    /// The team's time zone, for documents, e-mails and text messages.
    #[serde(default = "utc")]
    pub zone: Zone,
    /// Where new incidents are announced.
    pub announce_in: Option<SlackChannel>,
    /// The beginning of incident channels' names.
    #[serde(default = "inc")]
    pub channel_prefix: Prefix,
    /// Incident channels are private.
    #[serde(default)]
    pub private_channels: bool,
    /// Contacts who are invited to every incident.
    #[serde(default)]
    pub invite: Vec<At<Name>>,
    /// The severity of an incident declared without one; the least severe when it is not said.
    pub default_severity: Option<At<Name>>,
    /// Named in customer texts.
    pub status_page: Option<Link>,
    /// Named in customer texts.
    pub customer_contact: Option<String>,
    /// The company's name, as customers know it.
    pub company: Option<String>,
    /// How long a snoozed reminder stays quiet.
    #[serde(default = "ten_minutes")]
    pub snooze: Length,
    /// A folder with templates of the team's own.
    pub templates: Option<At<PathBuf>>,
}

fn english() -> Locale {
    Locale("en".into())
}
fn utc() -> Zone {
    Zone("UTC".into())
}
fn inc() -> Prefix {
    Prefix("inc".into())
}
fn ten_minutes() -> Length {
    Length(Millis::minutes(10))
}

/// One of `severities:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Severity {
    /// The word typed in commands.
    pub key: At<Name>,
    /// The words shown; the key in capitals when it is not said.
    pub label: Option<At<String>>,
    /// Other words for it.
    #[serde(default)]
    pub aliases: Vec<At<String>>,
    /// When to choose it.
    pub criteria: String,
    /// How soon somebody must have answered.
    pub respond_within: At<Length>,
    /// How often people are told how it stands.
    pub update_every: Option<Length>,
    /// How long after a missed update the next in charge is told.
    #[serde(default = "five_minutes")]
    pub update_grace: Length,
    /// Who is paged.
    pub policy: At<Name>,
    /// A post-mortem is obligatory.
    #[serde(default)]
    pub postmortem: bool,
    /// Link of the crisis call (E7).
    pub call_link: Option<Link>,
    /// Actions whose plans are offered in the channel as soon as it is open; none of them runs by itself.
    #[serde(default)]
    pub propose: Vec<At<Name>>,
}

fn five_minutes() -> Length {
    Length(Millis::minutes(5))
}

/// One of `contacts:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Contact {
    /// How people know them.
    pub name: String,
    /// Slack member ID.
    pub slack: Option<At<SlackPerson>>,
    /// E-mail address.
    pub email: Option<Email>,
    /// Phone number, for text messages and calls; for WhatsApp too when `whatsapp` is not said.
    pub phone: Option<Phone>,
    /// Number for WhatsApp.
    pub whatsapp: Option<Phone>,
    /// Name of the routing key under `paging.pagerduty.routing_keys`.
    pub pagerduty: Option<At<String>>,
    /// The language they are paged in.
    pub locale: Option<Locale>,
    /// Their time zone.
    pub zone: Option<Zone>,
    /// Their account on the machine where they type `vigie say` and `vigie action run`, for the day Slack is down.
    pub account: Option<At<String>>,
    /// The ways used at once; Slack when it is not said and there is a Slack ID.
    pub page_with: Option<Vec<At<Way>>>,
    /// The ways tried next, one after another, when one of the first fails.
    #[serde(default)]
    pub fall_over: Vec<At<Way>>,
}

/// One of `policies:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// The levels, in order.
    pub levels: At<Vec<Level>>,
    /// How many times the ladder is climbed again.
    #[serde(default)]
    pub repeat: u32,
    /// Who is told when nobody answered at all.
    #[serde(default)]
    pub fallback: Vec<At<Name>>,
}

/// One of a policy's `levels:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    /// Everybody paged together.
    pub contacts: At<Vec<At<Name>>>,
    /// How long they have.
    pub wait: At<Length>,
}

/// One of `services:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    /// Its name for people.
    pub title: At<String>,
    /// Other words for it.
    #[serde(default)]
    pub aliases: Vec<At<String>>,
    /// What is looked at, in the order shown (H7).
    #[serde(default)]
    pub checks: Vec<CheckConfig>,
}

/// One of `actions:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    /// Its name for people.
    pub title: String,
    /// The service it belongs to.
    pub service: Option<At<Name>>,
    /// It takes the service back to an earlier state.
    #[serde(default)]
    pub rollback: bool,
    /// Urgent, planned or preventive (P4).
    #[serde(default = "planned")]
    pub class: Class,
    /// The most it may do.
    pub risk: At<Risk>,
    /// How long it usually takes.
    pub expected: Length,
    /// When not to do it (P4).
    #[serde(default)]
    pub cautions: Vec<String>,
    /// What it leaves alone.
    #[serde(default)]
    pub will_not: Vec<String>,
    /// Why it is there.
    #[serde(default)]
    pub why: Vec<String>,
    /// Who must agree (P6).
    #[serde(default)]
    pub approval: Approval,
    /// When it may be approved, by a name under `windows` (P8); always when it is not said. What has begun may be gone on with
    /// and taken back at any time.
    pub window: Option<At<Name>>,
    /// What is ticked first (P5).
    #[serde(default)]
    pub checklist: Vec<Item>,
    /// Whether the state is kept before anything is changed (K15), where a step can: auto when it is not said.
    #[serde(default)]
    pub keep_state: KeepState,
    /// What is done, in order (P1).
    pub steps: Vec<StepConfig>,
    /// The checks that must pass afterwards (P2).
    #[serde(default)]
    pub verify: Vec<String>,
    /// How long they may take to come right.
    pub verify_within: Option<Length>,
}

fn planned() -> Class {
    Class::Planned
}

/// An action's `approval:`
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// Who may; anybody in the channel when nobody is named.
    #[serde(default)]
    pub by: Vec<At<ApproverWord>>,
    /// How many; by the risk when it is not said.
    pub needed: Option<At<u8>>,
    /// The person who asked may be one of them.
    #[serde(default)]
    pub requester_may: bool,
    /// How long a plan can be approved.
    pub expires: Option<Length>,
    /// Other rules for drills.
    pub drill: Option<Drill>,
    /// Who may approve alone in an emergency; nobody when it is not said.
    pub break_glass: Option<BreakGlass>,
}

/// An approval's `drill:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Drill {
    /// Who may; anybody in the channel when nobody is named.
    #[serde(default)]
    pub by: Vec<At<ApproverWord>>,
    /// How many; by the risk when it is not said.
    pub needed: Option<At<u8>>,
    /// The person who asked may be one of them.
    #[serde(default)]
    pub requester_may: bool,
    /// How long a plan can be approved.
    pub expires: Option<Length>,
}

/// An approval's `break_glass:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakGlass {
    /// Who may, each alone.
    pub by: At<Vec<At<ApproverWord>>>,
}

/// One of `windows:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    /// The days of the week.
    pub days: At<Vec<Day>>,
    /// When it opens on such a day.
    pub from: TimeOfDay,
    /// When it closes.
    pub to: At<TimeOfDay>,
    /// Whose clock; the team's zone when it is not said.
    pub zone: Option<Zone>,
    /// Days on which it stays closed.
    #[serde(default)]
    pub freezes: Vec<Freeze>,
}

/// One of a window's `freezes:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Freeze {
    /// The first day.
    pub from: CalendarDay,
    /// The last day.
    pub to: At<CalendarDay>,
    /// Why.
    pub why: String,
}

/// One line of a `checklist:`
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// Its key within the list.
    pub key: At<Name>,
    /// What must be true.
    pub text: String,
    /// Approval waits for it.
    #[serde(default = "yes")]
    pub required: bool,
    /// When it is ticked: before the approval, during the run, or after it.
    #[serde(default)]
    pub when: CheckWhen,
}

fn yes() -> bool {
    true
}

/// `updates:`
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Updates {
    /// Who may approve customer texts; anybody but the author when nobody is named.
    #[serde(default)]
    pub approved_by: Vec<At<ApproverWord>>,
}
