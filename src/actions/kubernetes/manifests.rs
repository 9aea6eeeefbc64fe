//! Saved manifests of a folder, read and cleaned of what only the server may say (K11).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::kinds::{Kind, applied_kind};
use crate::incident::words::Words;

/// The most that one file may hold.
const MOST_BYTES: u64 = 1024 * 1024;
/// What the server makes by itself.
const SERVERS_OWN: &[&str] = &[
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
];

/// One object that is applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manifest {
    pub kind: Kind,
    /// Where it comes in the order of applying.
    rank: usize,
    /// `Deployment`.
    pub word: &'static str,
    pub name: String,
    pub object: Value,
}

impl Manifest {
    /// `deployment/web`.
    pub(super) fn shown(&self) -> String {
        format!("{}/{}", self.word.to_lowercase(), self.name)
    }
}

/// All that a folder holds.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// In the order in which they are applied: what others need comes first.
    pub manifests: Vec<Manifest>,
    /// The files' fingerprints.
    pub files: BTreeMap<String, String>,
    /// Objects that a controller made, which are left to it.
    pub left_out: Vec<String>,
    /// Objects of kinds that are not applied.
    pub unknown: Vec<String>,
}

/// Reads a folder, for one namespace or for whichever. What is wrong is told with its file.
pub(super) fn read(folder: &Path, namespace: Option<&str>) -> Result<Folder, Words> {
    let wrong = |file: &Path, why: Words| {
        Words::new("kubernetes.bad_manifest").with("file", file.display().to_string()).with("why", why)
    };
    let mut read = Folder::default();
    for file in files(folder).map_err(|error| wrong(folder, Words::verbatim(error.kind().to_string())))? {
        let text = text_of(&file).map_err(|why| wrong(&file, why))?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        read.files.insert(name, hex::encode(Sha256::digest(&text)));
        for object in objects(&text).map_err(|why| wrong(&file, why))? {
            if object.pointer("/metadata/ownerReferences").is_some() {
                read.left_out.push(called(&object));
                continue;
            }
            let called = called(&object);
            match manifest(object, namespace).map_err(|why| wrong(&file, why))? {
                Some(manifest) => read.manifests.push(manifest),
                None => read.unknown.push(called),
            }
        }
    }
    read.manifests.sort_by(|a, b| (a.rank, &a.name).cmp(&(b.rank, &b.name)));
    let twice = read.manifests.windows(2).find(|pair| matches!(pair, [a, b] if a.kind == b.kind && a.name == b.name));
    match twice {
        Some([first, ..]) => Err(Words::new("kubernetes.manifest_twice").with("name", first.shown())),
        _ if read.manifests.is_empty() && !read.unknown.is_empty() => {
            Err(Words::new("kubernetes.manifest_unknown").with("names", read.unknown))
        }
        _ if read.manifests.is_empty() => {
            Err(Words::new("kubernetes.no_manifests").with("folder", folder.display().to_string()))
        }
        _ => Ok(read),
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_one = path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if is_one && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn text_of(file: &Path) -> Result<String, Words> {
    let unreadable = |error: std::io::Error| Words::verbatim(error.kind().to_string());
    if std::fs::metadata(file).map_err(unreadable)?.len() > MOST_BYTES {
        return Err(Words::new("kubernetes.manifest_too_long"));
    }
    std::fs::read_to_string(file).map_err(unreadable)
}

/// The objects of a file; lists are opened.
fn objects(text: &str) -> Result<Vec<Value>, Words> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|_| Words::new("kubernetes.manifest_no_yaml"))?;
    let mut objects = Vec::new();
    for mut document in documents.into_iter().filter(|document| !document.is_null()) {
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => objects.extend(items),
            _ => objects.push(document),
        }
    }
    Ok(objects)
}

fn text<'o>(object: &'o Value, pointer: &str) -> &'o str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn called(object: &Value) -> String {
    format!("{}/{}", text(object, "/kind").to_lowercase(), text(object, "/metadata/name"))
}

/// Nothing where it is of a kind that is not applied.
fn manifest(mut object: Value, namespace: Option<&str>) -> Result<Option<Manifest>, Words> {
    let says = |key| Words::new(key).with("name", called(&object));
    let name = text(&object, "/metadata/name").to_owned();
    if name.is_empty() || text(&object, "/kind").is_empty() {
        return Err(Words::new("kubernetes.manifest_nameless"));
    }
    if text(&object, "/kind") == "Secret" {
        return Err(says("kubernetes.manifest_secret"));
    }
    let Some((rank, word, kind)) = applied_kind(text(&object, "/apiVersion"), text(&object, "/kind")) else {
        return Ok(None);
    };
    let elsewhere = text(&object, "/metadata/namespace");
    if !elsewhere.is_empty() && namespace.is_some_and(|namespace| namespace != elsewhere) {
        return Err(says("kubernetes.manifest_elsewhere").with("namespace", elsewhere));
    }
    clean(&mut object);
    Ok(Some(Manifest { kind, rank, word, name, object }))
}

/// Without what the server says of an object, as `kubectl get --output yaml` saves it too.
pub(super) fn clean(object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in SERVERS_OWN {
            metadata.remove(*field);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !is_machinery(key));
        }
        if metadata.get("annotations").and_then(Value::as_object).is_some_and(Map::is_empty) {
            metadata.remove("annotations");
        }
    }
    if object.get("kind").and_then(Value::as_str) == Some("Service")
        && let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut)
        // The address of a Service is the cluster's to give, unless it is said to have none.
        && spec.get("clusterIP").and_then(Value::as_str) != Some("None")
    {
        for field in ["clusterIP", "clusterIPs"] {
            spec.remove(field);
        }
    }
}

fn is_machinery(annotation: &str) -> bool {
    annotation == "kubectl.kubernetes.io/last-applied-configuration"
        || annotation.starts_with("deployment.kubernetes.io/")
        || annotation.starts_with("vigie/")
        // An autoscaler's state, which moves every few seconds.
        || annotation.starts_with("autoscaling.alpha.kubernetes.io/")
}
