//! Where template text comes from: the files built into the program, and a team's own directory laid
//! over them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rust_embed::RustEmbed;

use super::Locale;
use super::fault::{TemplateFault, did_you_mean};

/// Everything under `templates/`.
#[derive(RustEmbed)]
#[folder = "templates/"]
struct Shipped;

const LABELS_FILE: &str = "labels.yaml";
const MESSAGE_ENDING: &str = ".hbs";
const SAMPLES_FILE: &str = "samples.yaml";
/// A team may add layouts of its own beside the three shipped (field-procedure row PM2).
const OWN_LAYOUT_BEGINNING: &str = "postmortem_";

/// One piece of template text and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// The file, as shown in a fault.
    pub path: String,
    pub text: String,
    /// It is in the program, and not a team's own.
    pub is_shipped: bool,
}

/// All the text of one locale.
#[derive(Debug, Clone, Default)]
pub(super) struct LocaleFiles {
    /// By template name (the file name without `.hbs`).
    pub messages: BTreeMap<String, Source>,
    /// By dotted key.
    pub labels: BTreeMap<String, Source>,
}

pub(super) type Files = BTreeMap<Locale, LocaleFiles>;

/// The text of `templates/samples.yaml`.
pub(super) fn samples() -> Result<String, TemplateFault> {
    let path = format!("templates/{SAMPLES_FILE}");
    let file =
        Shipped::get(SAMPLES_FILE).ok_or_else(|| TemplateFault::new(&path, "the file is missing from the program"))?;
    utf8(&path, file.data.into_owned())
}

/// Every shipped file a team may copy and edit, as (`<locale>/<file>`, text), in order.
pub(super) fn shipped_text() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Shipped::iter()
        .filter(|path| path.as_ref() != SAMPLES_FILE)
        .filter_map(|path| {
            let file = Shipped::get(&path)?;
            let text = String::from_utf8(file.data.into_owned()).ok()?;
            Some((path.into_owned(), text))
        })
        .collect();
    all.sort();
    all
}

/// The shipped files with those of `overrides` laid over them.
pub(super) fn load(overrides: Option<&Path>, faults: &mut Vec<TemplateFault>) -> Files {
    let mut files = shipped(faults);
    if let Some(directory) = overrides {
        match read_overrides(directory, &files, faults) {
            Ok(own) => lay_over(&mut files, own),
            Err(fault) => faults.push(fault),
        }
    }
    files
}

fn shipped(faults: &mut Vec<TemplateFault>) -> Files {
    let mut files: Files = Locale::ALL.into_iter().map(|locale| (locale, LocaleFiles::default())).collect();
    for (relative, text) in shipped_text() {
        let path = format!("templates/{relative}");
        let Some((folder, name)) = relative.split_once('/') else {
            faults.push(TemplateFault::new(path, "a template lives in a locale's folder"));
            continue;
        };
        match folder.parse::<Locale>() {
            Ok(locale) => {
                let into = files.entry(locale).or_default();
                take(into, name, Source { path, text, is_shipped: true }, faults);
            }
            Err(refusal) => faults.push(TemplateFault::new(path, refusal.to_string())),
        }
    }
    files
}

/// Sorts one file into the messages or the labels of its locale.
fn take(into: &mut LocaleFiles, name: &str, source: Source, faults: &mut Vec<TemplateFault>) {
    if name == LABELS_FILE {
        match serde_saphyr::from_str::<BTreeMap<String, String>>(&source.text) {
            Ok(labels) => {
                for (key, text) in labels {
                    let path = format!("{} ({key})", source.path);
                    into.labels.insert(key, Source { path, text, is_shipped: source.is_shipped });
                }
            }
            Err(fault) => faults.push(yaml_fault(&source.path, &fault)),
        }
    } else if let Some(message) = name.strip_suffix(MESSAGE_ENDING) {
        into.messages.insert(message.to_owned(), source);
    } else {
        faults.push(TemplateFault::new(
            source.path,
            format!("a locale's folder holds {LABELS_FILE} and files that end in {MESSAGE_ENDING}"),
        ));
    }
}

pub(super) fn yaml_fault(path: &str, fault: &serde_saphyr::Error) -> TemplateFault {
    let position = fault.location().and_then(|at| {
        let line = usize::try_from(at.line()).ok()?;
        let column = usize::try_from(at.column()).ok()?;
        Some((line, column))
    });
    TemplateFault::new(path, fault.without_snippet().to_string()).at(position)
}

fn read_overrides(directory: &Path, shipped: &Files, faults: &mut Vec<TemplateFault>) -> Result<Files, TemplateFault> {
    let mut own = Files::new();
    for (folder, path) in entries(directory)? {
        let locale = match folder.parse::<Locale>() {
            Ok(locale) if path.is_dir() => locale,
            Ok(_) => {
                faults.push(TemplateFault::new(path.display().to_string(), "this must be a folder of templates"));
                continue;
            }
            Err(refusal) => {
                faults.push(TemplateFault::new(
                    path.display().to_string(),
                    format!("templates are kept in folders by language: {refusal}"),
                ));
                continue;
            }
        };
        let known = shipped.get(&locale).cloned().unwrap_or_default();
        let into = own.entry(locale).or_default();
        for (name, path) in entries(&path)? {
            read_own_file(into, &known, &name, &path, faults);
        }
        forget_unknown_labels(into, &known, faults);
    }
    Ok(own)
}

fn read_own_file(
    into: &mut LocaleFiles,
    known: &LocaleFiles,
    name: &str,
    path: &Path,
    faults: &mut Vec<TemplateFault>,
) {
    let shown = path.display().to_string();
    let message = name.strip_suffix(MESSAGE_ENDING);
    let expected = name == LABELS_FILE
        || message
            .is_some_and(|message| known.messages.contains_key(message) || message.starts_with(OWN_LAYOUT_BEGINNING));
    if !expected {
        let names: Vec<String> = known
            .messages
            .keys()
            .map(|message| format!("{message}{MESSAGE_ENDING}"))
            .chain([LABELS_FILE.to_owned()])
            .collect();
        let hint = did_you_mean(name, names.iter().map(String::as_str));
        faults.push(TemplateFault::new(shown, format!("Vigie has no template file of this name{hint}")));
        return;
    }
    let text = fs::read(path)
        .map_err(|fault| TemplateFault::new(&shown, format!("the file cannot be read: {fault}")))
        .and_then(|bytes| utf8(&shown, bytes));
    match text {
        Ok(text) => take(into, name, Source { path: shown, text, is_shipped: false }, faults),
        Err(fault) => faults.push(fault),
    }
}

fn forget_unknown_labels(own: &mut LocaleFiles, known: &LocaleFiles, faults: &mut Vec<TemplateFault>) {
    own.labels.retain(|key, source| {
        let is_known = known.labels.contains_key(key);
        if !is_known {
            let hint = did_you_mean(key, known.labels.keys().map(String::as_str));
            faults.push(TemplateFault::new(&source.path, format!("Vigie has no label of this name{hint}")));
        }
        is_known
    });
}

/// Own files win; a layout that was brought in one language only serves the others too.
fn lay_over(files: &mut Files, own: Files) {
    for (locale, brought) in own {
        for (other, known) in files.iter_mut() {
            for (name, source) in &brought.messages {
                if *other == locale || !known.messages.contains_key(name) {
                    known.messages.insert(name.clone(), source.clone());
                }
            }
            if *other == locale {
                known.labels.extend(brought.labels.clone());
            }
        }
    }
}

/// The entries of a directory by name, without hidden ones (Kubernetes mounts keep `..data` there).
fn entries(directory: &Path) -> Result<BTreeMap<String, std::path::PathBuf>, TemplateFault> {
    let shown = directory.display().to_string();
    let fault = |fault: std::io::Error| TemplateFault::new(&shown, format!("the directory cannot be read: {fault}"));
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.insert(name, entry.path());
        }
    }
    Ok(found)
}

fn utf8(path: &str, bytes: Vec<u8>) -> Result<String, TemplateFault> {
    String::from_utf8(bytes).map_err(|_| TemplateFault::new(path, "the file is not text in UTF-8; save it as UTF-8"))
}
