//! What a plan says of saved manifests: which fields become what, and whose they were. A value that may be a secret is not
//! shown, and no field is left out.

use serde_json::Value;

use super::call::Site;
use super::object::Difference;
use crate::incident::words::Words;

/// The longest value that is shown, in characters.
const MOST_VALUE: usize = 80;
/// Names of fields on one line, in characters: a card shows so much of a line, and then its end is missing.
const LINE: usize = 120;

/// Fields whose texts are no secrets, by the last part of their paths. Whatever else is text may be one.
const SHOWN: &[&str] = &[
    "image",
    "imagePullPolicy",
    "schedule",
    "type",
    "clusterIP",
    "maxSurge",
    "maxUnavailable",
    "minAvailable",
    "restartPolicy",
    "serviceAccountName",
    "priorityClassName",
    "storageClassName",
    "targetPort",
];
/// What stands below these are texts that people choose, credentials among them.
const HIDDEN: &[&str] = &["data", "binaryData", "annotations", "labels", "env"];

/// The lines of a plan about objects that are there.
#[derive(Default)]
pub(super) struct Told {
    values: Vec<Words>,
    hidden: Vec<Words>,
    taken: Vec<Words>,
    taken_from: Vec<String>,
}

impl Told {
    /// One of the objects gets these fields.
    pub(super) fn changes(&mut self, site: &Site<'_>, name: &str, all: &[Difference]) {
        let mut hidden = Vec::new();
        for one in all {
            match shown(one) {
                Some((from, to)) => {
                    let short = |value: Option<String>| value.map(|text| site.redactor.short(&text, MOST_VALUE));
                    let line = Words::new("kubernetes.diff_applied").with("name", name).with("path", one.path.as_str());
                    self.values.push(line.with("from", short(from)).with("to", short(to)));
                }
                None => hidden.push(one.path.clone()),
            }
        }
        let line = |fields| Words::new("kubernetes.diff_hidden").with("name", name).with("fields", fields);
        self.hidden.extend(in_lines(hidden).into_iter().map(line));
    }

    /// These fields of it are somebody else's until then.
    pub(super) fn takes(&mut self, name: &str, fields: &[String]) {
        if !fields.is_empty() {
            self.taken_from.push(name.to_owned());
        }
        let line = |fields| Words::new("kubernetes.diff_taken").with("name", name).with("fields", fields);
        self.taken.extend(in_lines(fields.to_vec()).into_iter().map(line));
    }

    pub(super) fn changes_nothing(&self) -> bool {
        self.values.is_empty() && self.hidden.is_empty()
    }

    /// What weighs most comes first: a card shows only so many.
    pub(super) fn lines(self, force: bool) -> impl Iterator<Item = Words> {
        let force = force.then(|| Words::new("kubernetes.diff_force").with("names", self.taken_from));
        force.into_iter().chain(self.values).chain(self.hidden).chain(self.taken)
    }
}

/// As many on one line as fit there.
fn in_lines(fields: Vec<String>) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut length = 0;
    for field in fields {
        let long = field.chars().count();
        match lines.last_mut().filter(|_| length + long <= LINE) {
            Some(line) => line.push(field),
            None => {
                lines.push(vec![field]);
                length = 0;
            }
        }
        length += long;
    }
    lines
}

/// From and to, where both may be seen; nothing where there is no such field.
pub(super) fn shown(one: &Difference) -> Option<(Option<String>, Option<String>)> {
    let parts: Vec<&str> = one.path.split(['.', '[']).collect();
    if parts.iter().any(|part| HIDDEN.contains(part)) {
        return None;
    }
    let is_quantity = parts.iter().any(|part| matches!(*part, "resources" | "hard"));
    let is_plain = is_quantity || parts.last().is_some_and(|last| SHOWN.contains(last));
    let text = |value: &Value| match value {
        Value::Null => Some(None),
        Value::Bool(_) | Value::Number(_) => Some(Some(value.to_string())),
        Value::String(text) if is_plain => Some(Some(text.clone())),
        _ => None,
    };
    Some((text(&one.from)?, text(&one.to)?))
}
