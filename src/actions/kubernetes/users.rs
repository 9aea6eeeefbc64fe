//! The workloads that read a ConfigMap or a Secret, and are restarted when it changes.

use serde_json::Value;

use super::super::config::ConfigFault;
use super::NoDraft;
use super::call::Site;
use super::kinds::{Thing, WORKLOADS, What};
use super::object::Object;
use super::rights::Right;
use super::workloads::{all_of, of_roll_outs, validate};

/// All workloads of the namespace whose pods read it.
pub(super) async fn readers(site: &Site<'_>, what: What, name: &str) -> Result<Vec<Thing>, NoDraft> {
    let mut found = Vec::new();
    for kind in WORKLOADS {
        let all = site.list(kind.kind(), "").await;
        let all = all.map_err(|trouble| NoDraft::Trouble(trouble, Right::all("list", kind.kind())))?;
        let all = all.into_iter().map(Object).filter(|workload| reads(workload.template(), what, name));
        found.extend(all.map(|workload| Thing::new(kind, workload.name())));
    }
    Ok(found)
}

/// A template names it, in its volumes or in the environment of a container.
pub(super) fn reads(template: &Value, what: What, name: &str) -> bool {
    let (keys, called): (&[&str], &[&str]) = match what {
        What::Secret => (&["secret", "secretRef", "secretKeyRef"], &["name", "secretName"]),
        _ => (&["configMap", "configMapRef", "configMapKeyRef"], &["name"]),
    };
    match template {
        Value::Object(fields) => fields.iter().any(|(key, inside)| {
            let is_it = || called.iter().any(|called| inside.get(called).and_then(Value::as_str) == Some(name));
            (keys.contains(&key.as_str()) && is_it()) || reads(inside, what, name)
        }),
        Value::Array(items) => items.iter().any(|inside| reads(inside, what, name)),
        _ => false,
    }
}

/// What restarting them needs: those that are named, or all that may be found.
pub(super) fn of_users(named: Option<&[String]>) -> Vec<Right> {
    match named {
        Some([]) => Vec::new(),
        Some(named) => of_roll_outs(&all_of(named)),
        None => {
            let all: Vec<Thing> = WORKLOADS.into_iter().map(|what| Thing::new(what, "")).collect();
            let any = of_roll_outs(&all).into_iter().map(|right| Right { name: None, ..right });
            any.chain(WORKLOADS.map(|what| Right::all("list", what.kind()))).collect()
        }
    }
}

/// Adds every fault of the names that are restarted.
pub(super) fn validate_users(named: Option<&[String]>, path: &str, faults: &mut Vec<ConfigFault>) {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        validate(named, &format!("{path}.restart"), faults);
    }
}
