//! Putting a Secret back from a saved copy (K10). Its values are read, compared and sent, and told to nobody: a plan holds
//! names of keys, and versions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::config::{ConfigFault, fault};
use super::super::provider::{StepContext, StepResult};
use super::NoDraft;
use super::call::{Site, Trouble};
use super::change::{Patching, execute, nothing_moved};
use super::deed::Deed;
use super::kinds::{SECRETS, Thing, What, is_name};
use super::object::{MARK, Object};
use super::part::Part;
use super::restart::anew;
use super::rights::Right;
use super::users::{of_users, readers, validate_users};
use super::workloads::all_of;
use crate::incident::words::Words;

/// Which Secret is put back, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreSecret {
    /// The Secret, by its name.
    pub name: String,
    /// Another Secret of the namespace that holds the saved values.
    pub from: Option<String>,
    /// A file with the saved Secret, as `kubectl get secret --output yaml` writes it, in place of `from`.
    pub file: Option<PathBuf>,
    /// The values that go are kept in a Secret of their own, named after this one and the run: true.
    pub keep_copy: Option<bool>,
    /// The workloads that are restarted afterwards; those that read the Secret when it is not said, none when it is empty.
    pub restart: Option<Vec<String>>,
}

/// What the values come from, told without them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// A Secret, in exactly this version.
    Secret { name: String, uid: String, version: String },
    /// A file as long and as old as this.
    File { path: PathBuf, bytes: u64, modified_ms: i64 },
}

#[async_trait]
impl Patching for RestoreSecret {
    fn things(&self) -> Vec<Thing> {
        let own = Thing::new(What::Secret, &self.name);
        std::iter::once(own).chain(self.restart.iter().flat_map(|all| all_of(all))).collect()
    }

    async fn found(&self, site: &Site<'_>) -> Result<Vec<Thing>, NoDraft> {
        match self.restart {
            Some(_) => Ok(Vec::new()),
            None => readers(site, What::Secret, &self.name).await,
        }
    }

    fn restarts(&self) -> bool {
        true
    }

    fn title(&self) -> Words {
        Words::new("kubernetes.title_secret")
    }

    fn rights(&self) -> Vec<Right> {
        let own = ["get", "patch"].map(|verb| Right::one(verb, SECRETS, &self.name));
        let from = self.from.iter().map(|name| Right::one("get", SECRETS, name));
        // A name that does not exist yet cannot be named in a role.
        let copy = self.keeps_copy().then(|| Right::all("create", SECRETS));
        own.into_iter().chain(from).chain(copy).chain(of_users(self.restart.as_deref())).collect()
    }

    fn validate(&self, path: &str, faults: &mut Vec<ConfigFault>) {
        for (place, name) in [("name", Some(&self.name)), ("from", self.from.as_ref())] {
            if let Some(name) = name.filter(|name| !is_name(name)) {
                faults.push(fault(
                    format!("{path}.{place}"),
                    format!("“{name}” is no name of a Secret; write for example app"),
                ));
            }
        }
        if self.from.is_some() == self.file.is_some() {
            faults.push(fault(
                path,
                "say where the values come from in exactly one way; from: app-saved, or file: /path",
            ));
        }
        if self.from.as_ref() == Some(&self.name) {
            faults.push(fault(format!("{path}.from"), "it would be put back from itself; name the saved copy"));
        }
        if self.file.as_ref().is_some_and(|file| !file.is_absolute()) {
            let sentence = "it depends on the folder that Vigie is started in; give the whole path";
            faults.push(fault(format!("{path}.file"), sentence));
        }
        validate_users(self.restart.as_deref(), path, faults);
    }

    fn settings(&self) -> Value {
        json!({"keep_copy": self.keeps_copy()})
    }

    async fn part(&self, site: &Site<'_>, thing: &Thing, object: &Object) -> Result<Part, NoDraft> {
        if thing.what != What::Secret {
            return Ok(anew(thing, object));
        }
        let says = |key| Words::new(key).with("name", thing.name.as_str());
        if object.0.get("immutable").and_then(Value::as_bool) == Some(true) {
            return Err(NoDraft::Refused(says("kubernetes.immutable")));
        }
        if object.text("/type") == "kubernetes.io/service-account-token" {
            return Err(NoDraft::Refused(says("kubernetes.token_secret")));
        }
        let (source, saved) = self.saved(site).await?;
        if values(&saved).is_empty() {
            return Err(NoDraft::Refused(says("kubernetes.saved_empty")));
        }
        let diff = diff(&values(object), &values(&saved));
        let to = match &source {
            Source::Secret { name, version, .. } => format!("{name} · version {version}"),
            Source::File { path, bytes, .. } => format!("{} · {bytes} bytes", path.display()),
        };
        if diff.is_empty() {
            return Err(NoDraft::Already(to));
        }
        self.rehearse_copy(site, object).await?;
        let from = format!("version {}", object.version());
        let copy = self.keeps_copy().then(|| Words::new("kubernetes.diff_copy").with("name", thing.name.as_str()));
        let part = Part::new(thing, object, Deed::Secret(source), Some(from), to);
        Ok(part.saying(diff.into_iter().chain(copy).collect()).held_by(saved))
    }

    async fn carry_out(&self, parts: &[Part], site: &Site<'_>, cx: &StepContext<'_>) -> StepResult {
        let key = cx.idempotency_key();
        if self.keeps_copy() {
            let kept = match nothing_moved(site, parts, &key).await {
                Ok(()) => self.keep(site, &key).await,
                Err(result) => Err(result),
            };
            if let Err(result) = kept {
                return result;
            }
        }
        execute(site, parts, cx).await
    }
}

impl RestoreSecret {
    fn keeps_copy(&self) -> bool {
        self.keep_copy.unwrap_or(true)
    }

    /// Where the values come from, and the Secret that holds them.
    async fn saved(&self, site: &Site<'_>) -> Result<(Source, Object), NoDraft> {
        if let Some(name) = &self.from {
            let saved = site.get(SECRETS, name).await;
            let saved = Object(saved.map_err(|why| NoDraft::Trouble(why, Right::one("get", SECRETS, name)))?);
            let (uid, version) = (saved.uid().to_owned(), saved.version().to_owned());
            return Ok((Source::Secret { name: name.clone(), uid, version }, saved));
        }
        let path = self.file.clone().unwrap_or_default();
        let (bytes, modified_ms, saved) = read(&path).await.map_err(NoDraft::Refused)?;
        Ok((Source::File { path, bytes, modified_ms }, saved))
    }

    /// What keeps the values that go.
    fn copy(&self, now: &Object, key: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": format!("{}-vigie-{}", self.name, key.replace('_', "-")), "annotations": {MARK: key}},
            "type": now.text("/type"),
            "data": values(now),
        })
    }

    /// A quota or a webhook may not let the copy be made, and nobody should learn that after the approval.
    async fn rehearse_copy(&self, site: &Site<'_>, now: &Object) -> Result<(), NoDraft> {
        if !self.keeps_copy() {
            return Ok(());
        }
        let made = site.create(SECRETS, &self.copy(now, "rehearsal"), true).await;
        made.map(|_| ()).map_err(|why| NoDraft::Trouble(why, Right::all("create", SECRETS)))
    }

    /// Keeps the values that go, once for each step of a run.
    async fn keep(&self, site: &Site<'_>, key: &str) -> Result<(), StepResult> {
        let failed = |trouble: Trouble, right: Right| StepResult::unchanged(trouble.words(site, &right));
        let now = site.get(SECRETS, &self.name).await;
        let now = Object(now.map_err(|why| failed(why, Right::one("get", SECRETS, &self.name)))?);
        if now.mark() == Some(key) {
            return Ok(());
        }
        match site.create(SECRETS, &self.copy(&now, key), false).await {
            Ok(_) => Ok(()),
            // The name is this step's own, so an earlier attempt has kept them. Reading it would take a right on every Secret.
            Err(trouble) if trouble.is_conflict() => Ok(()),
            Err(trouble) => Err(failed(trouble, Right::all("create", SECRETS))),
        }
    }
}

/// What holds the values now, if it is what was planned.
pub(super) async fn unmoved(site: &Site<'_>, source: &Source) -> Result<Option<Object>, Trouble> {
    match source {
        Source::Secret { name, uid, version } => match site.get(SECRETS, name).await {
            Ok(saved) => {
                let saved = Object(saved);
                Ok((saved.uid() == uid && saved.version() == version).then_some(saved))
            }
            Err(trouble) if trouble.is_absent() => Ok(None),
            Err(trouble) => Err(trouble),
        },
        Source::File { path, bytes, modified_ms } => Ok(match read(path).await {
            Ok((now, modified, saved)) if now == *bytes && modified == *modified_ms => Some(saved),
            _ => None,
        }),
    }
}

/// The values of a saved Secret in base64; plain ones of a manifest are put so. What the server could not take is told here,
/// by its keys: the server itself would answer with the whole Secret, the live values included.
fn encoded(saved: &Value) -> Result<Map<String, Value>, Vec<String>> {
    let of = |field: &str| match saved.get(field) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(values)) => Ok(values.clone()),
        Some(_) => Err(vec![field.to_owned()]),
    };
    let data = of("data")?.into_iter().map(|(key, value)| {
        let value = value.as_str().map(|text| text.split_ascii_whitespace().collect::<String>());
        let value = value.filter(|text| STANDARD.decode(text).is_ok());
        (key, value)
    });
    let plain = of("stringData")?.into_iter().map(|(key, value)| {
        let value = value.as_str().map(|text| STANDARD.encode(text));
        (key, value)
    });
    let (good, wrong): (Vec<_>, Vec<_>) = data.chain(plain).partition(|(_, value)| value.is_some());
    if wrong.is_empty() {
        Ok(good.into_iter().map(|(key, value)| (key, value.into())).collect())
    } else {
        Err(wrong.into_iter().map(|(key, _)| key).collect())
    }
}

/// What lies over the live Secret so that it holds the saved values and nothing else.
pub(super) fn laid_over(now: &Object, saved: &Object) -> Value {
    let (now, saved) = (values(now), values(saved));
    let gone = now.keys().filter(|key| !saved.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    Value::Object(gone.chain(saved.clone()).collect())
}

/// Keys with their values in base64.
fn values(secret: &Object) -> Map<String, Value> {
    secret.0.get("data").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The names of the keys that change.
fn diff(now: &Map<String, Value>, saved: &Map<String, Value>) -> Vec<Words> {
    let keys: BTreeSet<&String> = now.keys().chain(saved.keys()).collect();
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        match (now.get(key), saved.get(key)) {
            (None, _) => added.push(key.as_str()),
            (_, None) => removed.push(key.as_str()),
            (then, now) if then != now => changed.push(key.as_str()),
            _ => {}
        }
    }
    let lines = [
        ("kubernetes.diff_keys_changed", changed),
        ("kubernetes.diff_keys_added", added),
        ("kubernetes.diff_keys_removed", removed),
    ];
    lines
        .into_iter()
        .filter(|(_, keys)| !keys.is_empty())
        .map(|(key, keys)| Words::new(key).with("keys", keys))
        .collect()
}

/// A saved Secret with the length and the age of its file. What is wrong with it is told without a word of what is in it.
async fn read(path: &Path) -> Result<(u64, i64, Object), Words> {
    let unreadable =
        |why: &str| Words::new("kubernetes.saved_unreadable").with("path", path.display().to_string()).with("why", why);
    let about = tokio::fs::metadata(path).await.map_err(|error| unreadable(&error.kind().to_string()))?;
    let text = tokio::fs::read_to_string(path).await.map_err(|error| unreadable(&error.kind().to_string()))?;
    let mut saved: Value = serde_saphyr::from_str(&text).map_err(|_| unreadable("no YAML"))?;
    if saved.get("kind").and_then(Value::as_str) != Some("Secret") {
        return Err(unreadable("no Secret"));
    }
    let wrong = |keys: Vec<String>| {
        Words::new("kubernetes.saved_not_encoded").with("path", path.display().to_string()).with("keys", keys)
    };
    saved["data"] = encoded(&saved).map_err(wrong)?.into();
    let modified = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    Ok((about.len(), modified, Object(saved)))
}
