//! What can be wrong with a template, said so that the person who edited it can mend it.

use std::fmt;

use super::Locale;

/// One fault in one template file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateFault {
    /// The file as the reader knows it: the path in the team's own directory, or `templates/…`.
    pub path: String,
    /// Line and column, from 1, where they are known.
    pub position: Option<(usize, usize)>,
    /// The sentence: what is wrong and what to do.
    pub text: String,
}

impl TemplateFault {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), position: None, text: text.into() }
    }

    pub(super) fn at(mut self, position: Option<(usize, usize)>) -> Self {
        self.position = position;
        self
    }
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.path, self.text),
            None => write!(f, "{}: {}", self.path, self.text),
        }
    }
}

/// Why text could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderFault {
    /// The templates could not be loaded; every fault is listed, one a line.
    #[error("{}", lines(.0))]
    Load(Vec<TemplateFault>),
    /// No template has this name.
    #[error("there is no template “{name}” in {locale}{hint}")]
    NoSuchTemplate {
        /// The name that was asked for.
        name: String,
        /// The language it was asked in.
        locale: Locale,
        /// `; did you mean “…”?`, or nothing.
        hint: String,
    },
    /// No label has this key.
    #[error("there is no label “{key}” in {locale}{hint}")]
    NoSuchLabel {
        /// The key that was asked for.
        key: String,
        /// The language it was asked in.
        locale: Locale,
        /// `; did you mean “…”?`, or nothing.
        hint: String,
    },
    /// The template exists but could not be filled in with these variables.
    #[error("template “{name}” ({locale}) could not be filled in: {why}")]
    Fill {
        /// The template's name, or `label/<key>`.
        name: String,
        /// The language.
        locale: Locale,
        /// The template engine's reason, with line and column.
        why: String,
    },
}

impl RenderFault {
    /// The faults found while loading; empty for every other kind.
    #[must_use]
    pub fn faults(&self) -> &[TemplateFault] {
        match self {
            Self::Load(faults) => faults,
            _ => &[],
        }
    }
}

fn lines(faults: &[TemplateFault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// `; did you mean “x”?` for the closest of `known`, or nothing when none is close.
pub(super) fn did_you_mean<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(asked, candidate), candidate))
        .filter(|(closeness, _)| *closeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| format!("; did you mean “{candidate}”?"))
        .unwrap_or_default()
}
