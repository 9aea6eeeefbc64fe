//! Holds template text to what it may read, so that a misspelt name is found when the file is loaded and not at three in
//! the morning.

use std::collections::BTreeSet;

use handlebars::Template;
use serde_json::Value;

use super::fault::{TemplateFault, did_you_mean};
use super::files::{Files, Source};
use super::samples::{self, Sample, Samples};
use super::{LABEL_PREFIX, compile, variables};

/// What is wrong with each text that `is_meant`.
pub(super) fn faults(files: &Files, is_meant: impl Fn(&Source) -> bool) -> Vec<TemplateFault> {
    let texts = || files.values().flat_map(|files| files.messages.values().chain(files.labels.values()));
    if !texts().any(&is_meant) {
        return Vec::new();
    }
    let samples = match samples::load() {
        Ok(samples) => samples,
        Err(fault) => return vec![fault],
    };
    let mut faults = Vec::new();
    for files in files.values() {
        for (name, source) in files.messages.iter().filter(|(_, source)| is_meant(source)) {
            faults.extend(of_message(name, source, &samples));
        }
        for (key, source) in files.labels.iter().filter(|(_, source)| is_meant(source)) {
            let variables = samples.labels.get(key).cloned().unwrap_or_default();
            let paths = variables::of_sample(&Value::Object(variables));
            faults.extend(of_text(&format!("{LABEL_PREFIX}{key}"), source, &paths));
        }
    }
    faults
}

fn of_message(name: &str, source: &Source, samples: &Samples) -> Vec<TemplateFault> {
    match own_sample(name, samples) {
        Some(sample) => of_text(name, source, &sample.paths()),
        None => vec![TemplateFault::new(
            &source.path,
            "templates/samples.yaml does not say which variables this message has",
        )],
    }
}

/// The variables of a message; a post-mortem layout that a team brings has those of the long one.
fn own_sample<'a>(name: &str, samples: &'a Samples) -> Option<&'a Sample> {
    samples
        .messages
        .get(name)
        .or_else(|| name.starts_with("postmortem_").then(|| samples.messages.get("postmortem_long.md")).flatten())
}

fn of_text(name: &str, source: &Source, paths: &BTreeSet<String>) -> Vec<TemplateFault> {
    match compile(name, &source.text) {
        Ok(template) => unknown_reads(&template, source, paths),
        Err(fault) => {
            let text = format!("the template cannot be read: {}", fault.reason());
            vec![TemplateFault::new(&source.path, text).at(fault.pos())]
        }
    }
}

fn unknown_reads(template: &Template, source: &Source, paths: &BTreeSet<String>) -> Vec<TemplateFault> {
    let reads = variables::of_template(template);
    let unknown = reads.variables.iter().filter(|path| *path != "tz" && !paths.contains(*path)).map(|path| {
        let hint = did_you_mean(path, paths.iter().map(String::as_str));
        format!("there is no variable {{{{{path}}}}} here{hint}")
    });
    let unescaped = reads
        .unescaped
        .iter()
        .map(|path| format!("{{{{{{{path}}}}}}} would let unchecked text through; write {{{{{path}}}}}"));
    unknown.chain(unescaped).map(|text| TemplateFault::new(&source.path, text)).collect()
}
