//! Keeping the state of a namespace before anything in it is changed (K15): all its objects as YAML, what happened there,
//! and the last lines of logs.
//!
//! Which kinds there are is asked group by group: one that does not answer, or may not be read, is said and no more.
//! Secrets are asked for without their values.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::Value;

use super::super::keep::{State, StateFile};
use super::super::redact::MARK;
use super::call::{Site, Trouble};
use super::kinds::{EVENTS, KEPT, PODS, Thing};
use super::logs::{LogEnd, Logged};
use super::look::happened_at;
use super::object::Object;
use super::pods;
use super::rights::Right;
use super::workloads::all_of;
use crate::incident::words::Words;

/// Requests side by side.
const AT_ONCE: usize = 8;
/// Lines of a container's log.
const LINES: i64 = 1_000;
/// The longest of them, and all of one label together, which have equal shares of it, in bytes.
const MOST_LOG: usize = 4 << 20;
const MOST_LOGS: usize = 7 << 20;
/// Pods of one label whose logs are kept.
const MOST_PODS: usize = 50;

/// Annotations in which tools keep a whole object as it was applied, a Secret's values included.
const COPIES: [&str; 3] =
    ["kubectl.kubernetes.io/last-applied-configuration", "kapp.k14s.io/original", "objectset.rio.cattle.io/applied"];

/// What is no object of a namespace, is kept as a list of events, or changes with every look.
const LEFT_OUT: [&str; 3] = ["events", "pods.metrics.k8s.io", "localsubjectaccessreviews"];

/// Parts of names behind which a value stands that nobody should read.
const CREDENTIALS: [&str; 9] =
    ["passw", "passphrase", "secret", "token", "credential", "apikey", "accesskey", "privatekey", "signingkey"];

/// The rights that it can use. It works without each of them, and keeps less.
pub(super) fn rights() -> Vec<Right> {
    let lists = KEPT.iter().map(|kind| Right::all("list", *kind).extra());
    lists.chain([Right::all("list", EVENTS).extra(), Right::part("get", PODS, "log").extra()]).collect()
}

/// Keeps the state of the site's namespace; `prefix` begins the names of the files. Logs are those of the pods with these
/// labels, and of these workloads.
pub(super) async fn keep(site: &Site<'_>, prefix: &str, labels: &[String], workloads: &[String]) -> State {
    let (objects, events, logs) = tokio::join!(objects(site), events(site), logs(site, labels, workloads));
    let mut state = State::default();
    for (name, (content, missed)) in [("objects.yaml", objects), ("events.txt", events)] {
        state.files.push(StateFile { name: format!("{prefix}-{name}"), content });
        state.missed.extend(missed);
    }
    for (of, content, missed) in logs {
        state.files.push(StateFile { name: format!("{prefix}-logs-{}.txt", file_name(&of)), content });
        state.missed.extend(missed);
    }
    state
}

/// `app=web,tier in (a)` as a part of a file's name.
fn file_name(of: &str) -> String {
    let letters = of.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' });
    letters.collect::<String>().trim_matches('-').to_owned()
}

/// One kind of objects, as the server tells of it.
struct Found {
    plural: String,
    path: String,
}

async fn objects(site: &Site<'_>) -> (String, Vec<Words>) {
    let (kinds, mut missed) = kinds(site).await;
    let lists = stream::iter(kinds).map(async |found: Found| (list(site, &found).await, found));
    let mut lists: Vec<(Result<Vec<Value>, Trouble>, Found)> = lists.buffered(AT_ONCE).collect().await;
    lists.sort_by(|(_, a), (_, b)| a.path.cmp(&b.path));
    let (mut yaml, mut denied) = (String::new(), Vec::new());
    for (list, found) in lists {
        match list {
            Ok(objects) => yaml.extend(objects.into_iter().map(|object| document(&found, object))),
            Err(trouble) if trouble.is_denied() => denied.push(found.plural),
            Err(trouble) => missed.push(unread(site, &found.plural, &trouble)),
        }
    }
    if !denied.is_empty() {
        missed.push(Words::new("kubernetes.kept_denied").with("kinds", denied));
    }
    (yaml, missed)
}

async fn list(site: &Site<'_>, found: &Found) -> Result<Vec<Value>, Trouble> {
    if found.plural == "secrets" { site.list_metadata(&found.path).await } else { site.list_at(&found.path).await }
}

/// Every kind that stands in namespaces and can be listed.
async fn kinds(site: &Site<'_>) -> (Vec<Found>, Vec<Words>) {
    let (mut versions, mut missed) = (vec!["/api/v1".to_owned()], Vec::new());
    match site.get_at("/apis").await {
        Ok(groups) => {
            let groups = groups.get("groups").and_then(Value::as_array).into_iter().flatten();
            let preferred = groups.filter_map(|group| group.pointer("/preferredVersion/groupVersion")?.as_str());
            versions.extend(preferred.map(|version| format!("/apis/{version}")));
        }
        Err(trouble) => missed.push(unread(site, "/apis", &trouble)),
    }
    let looks = stream::iter(versions).map(async |version: String| (site.get_at(&version).await, version));
    let looks: Vec<(Result<Value, Trouble>, String)> = looks.buffered(AT_ONCE).collect().await;
    let mut found = Vec::new();
    for (look, version) in looks {
        match look {
            Ok(resources) => found.extend(of_version(site.namespace, &version, &resources)),
            Err(trouble) => missed.push(unread(site, &version, &trouble)),
        }
    }
    (found, missed)
}

fn of_version(namespace: &str, version: &str, resources: &Value) -> Vec<Found> {
    let group = version.trim_start_matches("/apis/").split('/').next().unwrap_or_default();
    let can = |resource: &Value, verb: &str| {
        resource.get("verbs").and_then(Value::as_array).into_iter().flatten().any(|known| known == verb)
    };
    let resources = resources.get("resources").and_then(Value::as_array).into_iter().flatten();
    let listed = resources.filter(|resource| resource["namespaced"] == true && can(resource, "list"));
    listed
        .filter_map(|resource| resource.get("name")?.as_str())
        .filter(|plural| !LEFT_OUT.contains(plural) && !LEFT_OUT.contains(&format!("{plural}.{group}").as_str()))
        .map(|plural| Found { plural: plural.to_owned(), path: format!("{version}/namespaces/{namespace}/{plural}") })
        .collect()
}

/// The object as a document of YAML, without what only the server writes and without what nobody should read.
fn document(found: &Found, mut object: Value) -> String {
    let version = found.path.trim_start_matches("/apis/").trim_start_matches("/api/");
    let version = version.split("/namespaces/").next().unwrap_or_default();
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !COPIES.contains(&key.as_str()));
            // Nobody knows what else of its values stands there.
            let of_a_secret = annotations.values_mut().filter(|_| found.plural == "secrets");
            of_a_secret.for_each(|value| *value = MARK.into());
        }
    }
    if found.plural == "configmaps" {
        hide_entries(&mut object);
    }
    hide_variables(&mut object);
    // JSON is YAML too.
    let yaml = serde_saphyr::to_string(&object).unwrap_or_else(|_| object.to_string());
    format!("---\n# {version} {}\n{yaml}\n", found.plural)
}

/// Hides the values of a ConfigMap whose keys say that they are none of anybody's business.
fn hide_entries(object: &mut Value) {
    for part in ["data", "binaryData"] {
        let entries = object.get_mut(part).and_then(Value::as_object_mut).into_iter().flatten();
        for (_, value) in entries.filter(|(key, _)| names_a_credential(key)) {
            *value = MARK.into();
        }
    }
}

/// Hides the values of variables, wherever a container has them, whose names say the same.
fn hide_variables(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_credential = fields.get("name").and_then(Value::as_str).is_some_and(names_a_credential);
            if let Some(said) = fields.get_mut("value").filter(|said| is_credential && said.is_string()) {
                *said = MARK.into();
            }
            fields.values_mut().for_each(hide_variables);
        }
        Value::Array(items) => items.iter_mut().for_each(hide_variables),
        _ => {}
    }
}

/// `DB_PASSWORD`, `api.key`, `AccessKey`.
fn names_a_credential(name: &str) -> bool {
    let letters: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    CREDENTIALS.iter().any(|part| letters.contains(part))
}

/// What happened in the namespace, oldest first, one line each.
async fn events(site: &Site<'_>) -> (String, Vec<Words>) {
    match site.list(EVENTS, "").await {
        Ok(events) => {
            let mut events: Vec<(i64, Object)> =
                events.into_iter().map(Object).map(|event| (happened_at(&event).unwrap_or_default(), event)).collect();
            events.sort_by_key(|(at, _)| *at);
            (events.iter().map(|(at, event)| event_line(*at, event)).collect(), Vec::new())
        }
        Err(trouble) if trouble.is_denied() => {
            (String::new(), vec![Words::new("kubernetes.kept_denied").with("kinds", vec!["events"])])
        }
        Err(trouble) => (String::new(), vec![unread(site, "events", &trouble)]),
    }
}

pub(super) fn event_line(at: i64, event: &Object) -> String {
    let at = jiff::Timestamp::from_millisecond(at).map(|at| at.to_string()).unwrap_or_default();
    let said = event.text("/message").split_whitespace().collect::<Vec<_>>().join(" ");
    let (kind, name) = (event.text("/involvedObject/kind"), event.text("/involvedObject/name"));
    let count = event.number("/count").max(event.number("/series/count"));
    let count = if count > 1 { format!(" (x{count})") } else { String::new() };
    format!("{at} {} {} {kind}/{name}: {said}{count}\n", event.text("/type"), event.text("/reason"))
}

/// The logs of all pods of each label, and of each workload where no label is named.
async fn logs(site: &Site<'_>, labels: &[String], workloads: &[String]) -> Vec<(String, String, Vec<Words>)> {
    let mut wanted: Vec<(String, String)> = labels.iter().map(|label| (label.clone(), label.clone())).collect();
    let mut kept = Vec::new();
    if labels.is_empty() {
        for thing in all_of(workloads) {
            match selector(site, &thing).await {
                Ok(selector) => wanted.push((thing.to_string(), selector)),
                // What a step is about to make is not there yet.
                Err(trouble) if trouble.is_absent() => {}
                Err(trouble) => {
                    kept.push((thing.name.clone(), String::new(), vec![unread(site, &thing.name, &trouble)]))
                }
            }
        }
    }
    for (of, selector) in wanted {
        let (content, missed) = logs_of(site, &selector).await;
        kept.push((of, content, missed));
    }
    kept
}

async fn selector(site: &Site<'_>, thing: &Thing) -> Result<String, Trouble> {
    Ok(Object(site.get(thing.kind(), &thing.name).await?).selector())
}

async fn logs_of(site: &Site<'_>, selector: &str) -> (String, Vec<Words>) {
    let pods = match site.list(PODS, selector).await {
        Ok(pods) => pods.into_iter().map(Object).collect::<Vec<_>>(),
        Err(trouble) => return (String::new(), vec![unread(site, selector, &trouble)]),
    };
    let left_out = pods.len().saturating_sub(MOST_PODS);
    let wanted: Vec<Kept> = pods.iter().take(MOST_PODS).flat_map(kept_logs).collect();
    let share = MOST_LOG.min(MOST_LOGS / wanted.len().max(1));
    let read = stream::iter(wanted).map(async |(pod, container, previous): Kept| {
        let of = Logged { pod: &pod, container: &container, previous };
        let which = if previous { " (before its restart)" } else { "" };
        (site.last_lines(of, LINES, share).await, format!("{pod}/{container}{which}"))
    });
    let read: Vec<(Result<LogEnd, Trouble>, String)> = read.buffered(AT_ONCE).collect().await;
    let (mut ends, mut missed) = (Vec::new(), Vec::new());
    for (end, name) in read {
        match end {
            Ok(end) => ends.push((name, end)),
            // A container that has not begun, or has no former one, has no log.
            Err(Trouble::Refused(status)) if matches!(status.code, 400 | 404) => {}
            Err(trouble) => missed.push(unread(site, &name, &trouble)),
        }
    }
    let cut: Vec<&str> = ends.iter().filter(|(_, end)| end.is_cut).map(|(name, _)| name.as_str()).collect();
    if !cut.is_empty() {
        missed.push(Words::new("kubernetes.kept_cut").with("logs", cut));
    }
    if left_out > 0 {
        missed.push(Words::new("kubernetes.kept_pods").with("of", selector).with("pods", left_out));
    }
    let part = |(name, end): &(String, LogEnd)| {
        let cut = if end.is_cut { "… cut here: what was before was longer than what is kept\n" } else { "" };
        format!("==> {name} <==\n{cut}{}\n\n", end.text.trim_end())
    };
    (ends.iter().map(part).collect(), missed)
}

/// A log that is kept: its pod, its container, and whether it is the one before a restart.
type Kept = (String, String, bool);

/// The logs of all containers of a pod, those that only prepare it first, and of those before a restart.
fn kept_logs(pod: &Object) -> Vec<Kept> {
    let restarted = pods::most_restarts(std::slice::from_ref(pod)) > 0;
    let lives: &[bool] = if restarted { &[true, false] } else { &[false] };
    let of = |container: &str| {
        let log = |previous: &bool| (pod.name().to_owned(), container.to_owned(), *previous);
        lives.iter().map(log).collect::<Vec<_>>()
    };
    pods::all_container_names(pod).into_iter().flat_map(of).collect()
}

fn unread(site: &Site<'_>, what: &str, trouble: &Trouble) -> Words {
    let why = trouble.words(site, &Right::all("list", PODS));
    Words::new("kubernetes.kept_unread").with("what", what).with("why", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_in_variables_and_config_maps_are_hidden_and_references_are_kept() {
        let pod = json!({
            "metadata": {"name": "web", "managedFields": [1], "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "hunter22", "team": "shop"}},
            "spec": {"containers": [{"name": "web", "env": [
                {"name": "DB_PASSWORD", "value": "hunter22"},
                {"name": "MODE", "value": "careful"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "app", "key": "token"}}},
            ]}], "volumes": [{"secret": {"secretName": "app"}}]},
        });
        let found =
            |plural: &str| Found { plural: plural.to_owned(), path: format!("/api/v1/namespaces/shop/{plural}") };
        let yaml = document(&found("pods"), pod);
        assert!(!yaml.contains("hunter22") && !yaml.contains("managedFields"), "{yaml}");
        for kept in ["# v1 pods", "careful", "secretName: app", "key: token", "team: shop"] {
            assert!(yaml.contains(kept), "{kept} is not in {yaml}");
        }
        let map = json!({"metadata": {"name": "app"}, "data": {"api_key": "hunter22", "colour": "blue"}});
        let yaml = document(&found("configmaps"), map);
        assert!(!yaml.contains("hunter22") && yaml.contains("colour: blue"), "{yaml}");
    }

    #[test]
    fn only_what_stands_in_namespaces_and_can_be_listed_is_kept() {
        let resources = json!({"resources": [
            {"name": "pods", "namespaced": true, "verbs": ["get", "list"]},
            {"name": "pods/log", "namespaced": true, "verbs": ["get"]},
            {"name": "bindings", "namespaced": true, "verbs": ["create"]},
            {"name": "nodes", "namespaced": false, "verbs": ["list"]},
            {"name": "events", "namespaced": true, "verbs": ["list"]},
        ]});
        let paths: Vec<String> = of_version("shop", "/api/v1", &resources).into_iter().map(|one| one.path).collect();
        assert_eq!(paths, ["/api/v1/namespaces/shop/pods"]);
        let metrics = json!({"resources": [{"name": "pods", "namespaced": true, "verbs": ["list"]}]});
        assert!(of_version("shop", "/apis/metrics.k8s.io/v1beta1", &metrics).is_empty());
    }

    #[test]
    fn of_a_secret_only_the_keys_of_annotations_are_kept() {
        let secret = json!({"metadata": {"name": "app", "annotations": {
            "kapp.k14s.io/original": "hunter22", "objectset.rio.cattle.io/applied": "hunter22", "note": "hunter22"}}});
        let found = Found { plural: "secrets".to_owned(), path: "/api/v1/namespaces/shop/secrets".to_owned() };
        let yaml = document(&found, secret);
        assert!(!yaml.contains("hunter22") && yaml.contains("note: "), "{yaml}");
    }

    #[test]
    fn labels_make_names_of_files() {
        assert_eq!(file_name("app=web,tier in (a, b)"), "app-web-tier-in--a--b");
    }
}
