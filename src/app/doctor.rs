//! `vigie doctor`: is everything in place, outside the configuration too?
//!
//! It only looks: it makes no database, writes nothing in Slack, pages nobody. Everything is looked at that can be, so that
//! one run tells of every fault.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::action::texts_and_actions;
use super::practice::MANIFEST;
use super::serve::slack_config;
use crate::actions::http;
use crate::actions::kubernetes::ClusterSeen;
use crate::clock::Clock;
use crate::config::{Config, Env, Faults, SlackDoor};
use crate::incident::people::Contact;
use crate::incident::rules::Rules;
use crate::incident::waiting::OpenIncidents;
use crate::incident::words::Words;
use crate::practice::Manifest;
use crate::render::{Locale, Renderer};
use crate::slack::cards::words;
use crate::slack::scene::Scene;
use crate::slack::{Slack, SlackFault};
use crate::store::Store;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it must be.
    Good,
    /// It works, but is probably not what was meant.
    Odd,
    /// It must be put right.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: `database`.
    pub subject: &'static str,
    /// How it is.
    pub state: State,
    /// A sentence about it.
    pub said: String,
    /// What to do; empty where there is nothing to do, or the sentence says it.
    pub cure: String,
}

impl Finding {
    fn good(subject: &'static str, said: impl Into<String>) -> Self {
        Self { subject, state: State::Good, said: said.into(), cure: String::new() }
    }

    fn odd(subject: &'static str, said: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { subject, state: State::Odd, said: said.into(), cure: cure.into() }
    }

    fn bad(subject: &'static str, said: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { subject, state: State::Bad, said: said.into(), cure: cure.into() }
    }
}

/// What is to be looked at, as far as it could be read.
#[derive(Debug)]
pub struct Patient {
    /// The configuration's name.
    pub name: String,
    /// The configuration.
    pub config: Result<Config, Faults>,
    /// Slack's credentials and addresses.
    pub env: Result<Env, Faults>,
    /// The database's address.
    pub database: Result<SecretString, Faults>,
}

/// Looks at everything, in the order in which a person puts it right.
pub async fn examine(patient: &Patient, clock: Clock) -> Vec<Finding> {
    super::install_crypto();
    let mut findings = configuration(patient);
    let rules = patient.config.as_ref().ok().map(|config| &config.rules);
    match &patient.database {
        Ok(url) => findings.push(database(url.expose_secret()).await),
        Err(faults) => findings.extend(listed("database", faults)),
    }
    if let Ok(config) = &patient.config {
        findings.extend(clusters(config).await);
    }
    match &patient.env {
        Ok(env) => {
            findings.push(Finding::good("environment", door(env)));
            findings.extend(slack(env, rules, clock).await);
        }
        Err(faults) => findings.extend(listed("environment", faults)),
    }
    findings
}

fn configuration(patient: &Patient) -> Vec<Finding> {
    const SUBJECT: &str = "configuration";
    let config = match &patient.config {
        Ok(config) => config,
        Err(faults) => return listed(SUBJECT, faults),
    };
    let mut findings: Vec<Finding> = config
        .warnings
        .iter()
        .map(|warning| Finding::odd(SUBJECT, format!("{}: {}", warning.spot(), warning.what), &warning.cure))
        .collect();
    match Renderer::load(config.templates.as_deref()) {
        Ok(_) => findings.insert(0, Finding::good(SUBJECT, format!("{} has no faults", patient.name))),
        Err(fault) => findings.push(Finding::bad(SUBJECT, format!("the texts cannot be used: {fault}"), "")),
    }
    findings
}

fn listed(subject: &'static str, faults: &Faults) -> Vec<Finding> {
    let told = |fault: &crate::config::Fault| {
        let spot = if fault.file == subject { String::new() } else { format!("{}: ", fault.spot()) };
        Finding::bad(subject, format!("{spot}{}", fault.what), &fault.cure)
    };
    faults.0.iter().map(told).collect()
}

fn door(env: &Env) -> &'static str {
    match env.door {
        SlackDoor::Socket { .. } => "SLACK_BOT_TOKEN and SLACK_APP_TOKEN are set: Socket Mode",
        SlackDoor::Http { .. } => "SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET are set: Slack calls in over HTTPS",
    }
}

/// Looks without making or changing anything.
async fn database(url: &str) -> Finding {
    const SUBJECT: &str = "database";
    if let Some(file) = file_of(url)
        && !file.exists()
    {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let said = format!("there is no folder {}", folder.display());
            return Finding::bad(SUBJECT, said, "make it, or give another path in DATABASE_URL");
        }
        return Finding::good(SUBJECT, format!("{} is not there yet; vigie serve makes it", file.display()));
    }
    let looked = async {
        let store = Store::open_to_read(url).await?;
        let understood = store.prepare_all().await;
        store.close().await;
        understood
    };
    let name = file_of(url).map_or("the PostgreSQL database".to_owned(), |file| file.display().to_string());
    match looked.await {
        Ok(()) => Finding::good(SUBJECT, format!("{name} answers, and its schema is this version's")),
        Err(fault) => Finding::bad(
            SUBJECT,
            fault.to_string(),
            "check DATABASE_URL and that the server runs; vigie migrate brings an older schema up to date",
        ),
    }
}

/// Each cluster must answer and allow what the configuration needs there.
async fn clusters(config: &Config) -> Vec<Finding> {
    const SUBJECT: &str = "clusters";
    if config.actions.clusters.is_empty() {
        return Vec::new();
    }
    let (render, actions) = match texts_and_actions(config) {
        Ok(both) => both,
        Err(why) => return vec![Finding::bad(SUBJECT, why, "")],
    };
    let open = OpenIncidents::default();
    let scene = Scene::bare(&config.rules, &render, Clock::system().now(), &open);
    let say = |said: &Words| words::plain(&scene, Locale::default(), said).unwrap_or_else(|_| said.to_string());
    let mut findings = Vec::new();
    for ClusterSeen { cluster, version, missing, unsaid } in actions.look_at_clusters().await {
        if !unsaid.is_empty() {
            let said = format!("{cluster} does not say what Vigie may do in {}", unsaid.join(", "));
            let cure = "let it create selfsubjectaccessreviews, as the ClusterRole system:basic-user does";
            findings.push(Finding::odd(SUBJECT, said, cure));
        }
        match version {
            Err(why) => findings.push(Finding::bad(SUBJECT, format!("{cluster}: {}", say(&why)), "")),
            Ok(_) if missing.is_empty() && !unsaid.is_empty() => {}
            Ok(version) if missing.is_empty() => {
                let said = format!("{cluster} answers ({version}) and allows all that the configuration needs");
                findings.push(Finding::good(SUBJECT, said));
            }
            Ok(_) => findings.extend(missing.iter().map(|why| {
                let cure = format!("vigie action rbac --cluster {cluster} | kubectl apply -f -");
                Finding::bad(SUBJECT, format!("{cluster}: {}", say(why)), cure)
            })),
        }
    }
    findings
}

/// The file of a SQLite address.
fn file_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    (path != ":memory:").then(|| PathBuf::from(path))
}

async fn slack(env: &Env, rules: Option<&Rules>, clock: Clock) -> Vec<Finding> {
    const SUBJECT: &str = "slack";
    let slack = match Slack::new(&slack_config(env), clock) {
        Ok(slack) => slack,
        Err(fault) => return vec![Finding::bad(SUBJECT, fault.to_string(), "")],
    };
    let mut findings = Vec::new();
    match slack.identity().await {
        Ok(us) => {
            findings.push(Finding::good(SUBJECT, format!("the bot token is good for {} ({})", us.team_name, us.url)))
        }
        // Without it nothing more can be asked.
        Err(fault) => return vec![Finding::bad(SUBJECT, fault.why(), "")],
    }
    if matches!(env.door, SlackDoor::Socket { .. }) {
        findings.push(match slack.check_socket().await {
            Ok(()) => Finding::good("socket", "Slack lets Vigie in by Socket Mode"),
            Err(fault) => Finding::bad("socket", fault.why(), ""),
        });
    }
    findings.push(scopes(&slack).await);
    if let Some(rules) = rules {
        findings.extend(people(&slack, rules).await);
        findings.extend(announcements(&slack, rules).await);
    }
    findings
}

/// What the manifest asks for, the token must have.
async fn scopes(slack: &Slack) -> Finding {
    const SUBJECT: &str = "scopes";
    let client = match http::client() {
        Ok(client) => client,
        Err(error) => return Finding::bad(SUBJECT, format!("no HTTP client can be made: {error}"), ""),
    };
    let granted = match slack.granted_scopes(&client).await {
        Ok(Some(granted)) => granted,
        Ok(None) => return Finding::odd(SUBJECT, "Slack did not say which scopes the token has", ""),
        Err(fault) => return Finding::bad(SUBJECT, fault.why(), ""),
    };
    let wanted = match Manifest::parse(MANIFEST) {
        Ok(manifest) => manifest.oauth_config.scopes.bot,
        Err(error) => return Finding::bad(SUBJECT, format!("manifest.yml cannot be read: {error}"), ""),
    };
    let missing: Vec<&str> =
        wanted.iter().map(String::as_str).filter(|scope| !granted.iter().any(|known| known == scope)).collect();
    if missing.is_empty() {
        return Finding::good(SUBJECT, format!("the token has all {} that manifest.yml asks for", wanted.len()));
    }
    Finding::bad(
        SUBJECT,
        format!("the token lacks {}", missing.join(", ")),
        "paste manifest.yml into the app's page “App Manifest” and install the app again",
    )
}

/// Everybody of the emergency plan must be there to be paged.
async fn people(slack: &Slack, rules: &Rules) -> Vec<Finding> {
    const SUBJECT: &str = "people";
    let mut findings = Vec::new();
    let mut there = 0;
    for contact in rules.contacts.values() {
        let Some(user) = &contact.slack else { continue };
        match slack.profile(user).await {
            Ok(profile) if profile.deleted => findings.push(gone(contact, "has left the workspace")),
            Ok(profile) if profile.is_bot => findings.push(gone(contact, "is an app, which nobody reads")),
            Ok(_) => there += 1,
            Err(fault @ SlackFault::Permanent { .. }) if fault.code().starts_with("user") => {
                findings.push(gone(contact, "is nobody in this workspace"));
            }
            // Whatever is wrong, it is so for everybody.
            Err(fault) => {
                findings.push(Finding::bad(SUBJECT, fault.why(), ""));
                break;
            }
        }
    }
    if findings.is_empty() && there > 0 {
        findings.push(Finding::good(SUBJECT, format!("{there} of the contacts are members of the workspace")));
    }
    findings
}

fn gone(contact: &Contact, how: &str) -> Finding {
    let user = contact.slack.as_ref().map(|user| user.0.as_str()).unwrap_or_default();
    let said = format!("“{}” ({user}) {how}", contact.key);
    Finding::bad("people", said, format!("correct “slack:” of “{}” under contacts", contact.key))
}

/// Where incidents are announced, Vigie must be able to write.
async fn announcements(slack: &Slack, rules: &Rules) -> Option<Finding> {
    const SUBJECT: &str = "announcements";
    let channel = rules.announce_in.as_ref()?;
    Some(match slack.room(channel).await {
        Ok(room) if room.archived => Finding::bad(
            SUBJECT,
            format!("#{} is archived", room.name),
            "open it again, or name another in workspace.announce_in",
        ),
        Ok(room) if room.private && !room.member => Finding::bad(
            SUBJECT,
            format!("Vigie is not in #{}, which is private", room.name),
            "type /invite @Vigie there",
        ),
        Ok(room) => Finding::good(SUBJECT, format!("incidents are announced in #{}", room.name)),
        Err(fault) => Finding::bad(SUBJECT, fault.why(), "check workspace.announce_in"),
    })
}
