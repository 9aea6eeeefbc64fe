//! What the rooms themselves find wrong with their parts, put where it stands in the file.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::Sources;
use crate::actions::ActionsConfig;
use crate::actions::config::ActionConfig;
use crate::actions::redact::{SHORTEST, is_too_short};
use crate::config::fault::{Findings, Place};
use crate::config::hide;
use crate::config::node::{Node, Value};

impl Sources<'_> {
    /// Asks every room about its part. A part that could not be read whole is not asked about: what it lacks would be
    /// taken for missing.
    pub fn rooms(&self, findings: &mut Findings<'_>) {
        if !["services", "clusters", "databases", "actions", "limits"].iter().any(|section| self.has_faults(section)) {
            for fault in self.actions_room().validate() {
                self.note(&in_the_file(&fault.path), &fault.sentence, findings);
            }
        }
        if self.has_faults("paging") {
            return;
        }
        let paging = self.file.paging.validate();
        // An audience is only as good as the senders it uses, so it is looked at when they are.
        let audiences = if paging.is_empty() && !self.has_faults("audiences") {
            self.comms_room().build(&self.file.paging).err().unwrap_or_default()
        } else {
            Vec::new()
        };
        for fault in paging.iter().chain(&audiences) {
            let path = fault.setting.strip_prefix("comms.").unwrap_or(&fault.setting);
            self.note(path, &fault.text, findings);
        }
    }

    /// Secrets that are too short to be found in what programs and servers say are noted by name.
    pub fn check_secrets(&self, findings: &mut Findings<'_>) {
        let secrets = self.actions_room().secrets();
        let short: Vec<&str> =
            secrets.iter().map(ExposeSecret::expose_secret).filter(|one| is_too_short(one)).collect();
        if short.is_empty() {
            return;
        }
        let (mut named, mut others) = (Vec::new(), Vec::new());
        self.root.each_text(&mut |node, text| {
            if short.contains(&text.text.as_str()) {
                let is_secret = node.path.rsplit('.').next().is_some_and(hide::is_secret_key)
                    || [".secrets.", ".headers."].iter().any(|part| node.path.contains(part));
                if is_secret { &mut named } else { &mut others }.push((node.place, node.path.clone()));
            }
        });
        for (place, path) in if named.is_empty() { others } else { named } {
            let what = format!("the secret {path} is too short to be taken out of what programs and servers say");
            findings.warning(
                Some(place),
                what,
                format!("use one of at least {SHORTEST} characters, also within an address"),
            );
        }
    }

    /// The actions room's part of the file.
    pub fn actions_room(&self) -> ActionsConfig {
        let actions = self.file.actions.0.iter().map(|(key, action)| {
            let config = ActionConfig {
                title: action.title.clone(),
                service: action.service.as_ref().map(|service| service.0.clone()),
                class: action.class,
                risk: action.risk.value,
                expected: action.expected.0,
                cautions: action.cautions.clone(),
                will_not: action.will_not.clone(),
                why: action.why.clone(),
                keep_state: action.keep_state,
                steps: action.steps.clone(),
                verify: action.verify.clone(),
                verify_within: action.verify_within.as_ref().map(|length| length.0),
            };
            (key.0.clone(), config)
        });
        let services = self.file.services.0.iter().map(|(key, service)| (key.0.clone(), service.checks.clone()));
        let clusters = self.file.clusters.0.iter().map(|(key, cluster)| (key.0.clone(), cluster.clone()));
        let databases = self.file.databases.0.iter().map(|(key, database)| (key.0.clone(), database.clone()));
        ActionsConfig {
            actions: actions.collect(),
            services: services.collect(),
            clusters: clusters.collect(),
            databases: databases.collect(),
            limits: self.file.limits.clone(),
        }
    }

    /// The folder with the team's own templates; relative to the folder of the file.
    pub fn templates(&self, folder: Option<&Path>, findings: &mut Findings<'_>) -> Option<PathBuf> {
        let written = self.file.workspace.templates.as_ref()?;
        let path = folder.map_or_else(|| written.value.clone(), |folder| folder.join(&written.value));
        if !path.is_dir() {
            let what = format!("there is no folder “{}”", written.value.display());
            findings.fault(Some(written.place), what, "give the folder's path; it counts from this file's folder");
        }
        Some(path)
    }

    /// The place of a path, or of the nearest thing above it that is in the file.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(node) = find(self.root, path) {
                return Some(if matches!(node.value, Value::Text(_)) {
                    node.place
                } else {
                    node.key_place.unwrap_or(node.place)
                });
            }
            path = path.rfind(['.', '[']).and_then(|end| path.get(..end)).filter(|rest| !rest.is_empty())?;
        }
    }

    /// A room's sentence: what is wrong, then after the last semicolon the cure.
    pub fn note(&self, path: &str, sentence: &str, findings: &mut Findings<'_>) {
        let key = path.rsplit('.').next().unwrap_or(path);
        let (what, cure) =
            sentence.rsplit_once("; ").unwrap_or((sentence, "examples/reference.yml shows how it is written"));
        findings.fault(self.place_of(path), format!("{key}: {what}"), cure);
    }
}

/// The actions room knows a service's checks as `services.shop[0]`; in the file they stand under `checks`.
fn in_the_file(path: &str) -> String {
    match path.strip_prefix("services.").and_then(|rest| rest.split_once('[')) {
        Some((service, rest)) if !service.contains('.') => format!("services.{service}.checks[{rest}"),
        _ => path.to_owned(),
    }
}

fn find<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    if node.path == path {
        return Some(node);
    }
    let below = |child: &&Node| {
        path.strip_prefix(child.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    match &node.value {
        Value::List(items) => items.iter().find(below).and_then(|child| find(child, path)),
        Value::Map(entries) => entries.iter().map(|(_, child)| child).find(below).and_then(|child| find(child, path)),
        Value::Empty | Value::Text(_) | Value::Broken => None,
    }
}
