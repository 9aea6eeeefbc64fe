//! What is wrong with a configuration: where, what, and how to cure it.
//!
//! A fault never carries a secret: the line it shows goes through [`super::hide`] when it is made.

use std::fmt;

use serde::Serialize;

use super::hide;

/// A position in the configuration file, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// One thing that must be put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file's name as the person gave it; `environment` for variables.
    pub file: String,
    /// Where in the file; `None` when it is about the file as a whole.
    pub place: Option<Place>,
    /// What is wrong, in a few words.
    pub what: String,
    /// What to do about it; empty where `what` says it.
    pub cure: String,
    /// The line with a caret under the place.
    pub snippet: Option<String>,
}

impl Fault {
    /// `vigie.yml:41:9`
    pub fn spot(&self) -> String {
        let place = self.place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
        format!("{}{place}", self.file)
    }

    /// `what · cure`
    pub fn sentence(&self) -> String {
        if self.cure.is_empty() { self.what.clone() } else { format!("{} · {}", self.what, self.cure) }
    }

    /// `vigie.yml:41:9: what · cure`, in one line.
    pub fn headline(&self) -> String {
        format!("{}: {}", self.spot(), self.sentence())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match &self.snippet {
            Some(snippet) => write!(f, "\n{snippet}"),
            None => Ok(()),
        }
    }
}

/// Everything that must be put right before Vigie can start, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { "\n" };
            write!(f, "{gap}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// One file of the configuration: its name as the person gave it, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// `vigie.yml`, `config/contacts.yml`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Collects the faults and warnings of the files that make a configuration.
///
/// While they are read, lines are counted through all files, one after another, so that a [`Place`] says the file as
/// well; the person is told the file's own line.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    whole: &'t str,
    sources: &'t [Source],
    faults: Vec<(Option<Place>, Fault)>,
    warnings: Vec<(Option<Place>, Fault)>,
}

impl<'t> Findings<'t> {
    /// An empty collection for these files; `whole` is the name of all of them together.
    pub fn new(whole: &'t str, sources: &'t [Source]) -> Self {
        Self { whole, sources, faults: Vec::new(), warnings: Vec::new() }
    }

    /// Notes something that must be put right.
    pub fn fault(&mut self, place: Option<Place>, what: impl Into<String>, cure: impl Into<String>) {
        let fault = self.made(place, what.into(), cure.into());
        if !self.faults.iter().any(|(_, known)| *known == fault) {
            self.faults.push((place, fault));
        }
    }

    /// Notes something that works but is probably not what was meant.
    pub fn warning(&mut self, place: Option<Place>, what: impl Into<String>, cure: impl Into<String>) {
        let fault = self.made(place, what.into(), cure.into());
        self.warnings.push((place, fault));
    }

    /// Notes that something stands at `second` that stands at `first` already.
    pub fn twice(&mut self, what: impl Into<String>, first: Option<Place>, second: Option<Place>, cure: &str) {
        let spot = first
            .map(|first| format!("; the first is at {}", self.made(Some(first), String::new(), String::new()).spot()));
        self.fault(second, format!("{}{}", what.into(), spot.unwrap_or_default()), cure);
    }

    /// The warnings when there is no fault, else the faults; each in the order of the files.
    pub fn end(self) -> Result<Vec<Fault>, Faults> {
        let ordered = |mut found: Vec<(Option<Place>, Fault)>| {
            found.sort_by_key(|(place, _)| *place);
            found.into_iter().map(|(_, fault)| fault).collect::<Vec<_>>()
        };
        if self.faults.is_empty() { Ok(ordered(self.warnings)) } else { Err(Faults(ordered(self.faults))) }
    }

    fn made(&self, place: Option<Place>, what: String, cure: String) -> Fault {
        let (file, text, place) = self.located(place);
        let snippet = place.and_then(|place| snippet(text, place));
        Fault { file: file.to_owned(), place, what: hide::in_sentence(&what), cure, snippet }
    }

    /// The file of a place that is counted through all files, and the place in it.
    fn located(&self, place: Option<Place>) -> (&'t str, &'t str, Option<Place>) {
        let Some(Place { line, column }) = place else { return (self.whole, "", None) };
        let mut before = 0;
        for source in self.sources {
            let after = before + lines(&source.text);
            if line <= after {
                return (&source.name, &source.text, Some(Place { line: line.saturating_sub(before), column }));
            }
            before = after;
        }
        (self.whole, "", None)
    }
}

/// How many lines a file takes up where lines are counted through all files; one more than it has, because a fault at
/// its end stands after the last.
pub(super) fn lines(text: &str) -> u32 {
    u32::try_from(text.lines().count()).unwrap_or(u32::MAX / 2).saturating_add(1)
}

/// The line with its number and a caret under the column. Only that one line is shown: its neighbours may hold
/// what nobody should see.
fn snippet(text: &str, place: Place) -> Option<String> {
    let number = usize::try_from(place.line).ok()?;
    let shown = hide::line(text, number)?;
    let before = usize::try_from(place.column).ok()?.saturating_sub(1).min(shown.chars().count());
    // Tabs are kept, so that the caret stands right whatever their width.
    let lead: String = shown.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let gutter = number.to_string().len();
    Some(format!("  {number} | {shown}\n  {:gutter$} | {lead}^", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> Source {
        Source { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_fault_is_one_line_with_the_place_and_the_line_with_a_caret() {
        let files = [source("vigie.yml", "workspace:\n  locale: de\n")];
        let mut findings = Findings::new("vigie.yml", &files);
        findings.fault(Some(Place { line: 2, column: 11 }), "“de” is not spoken here", "write en or fr");
        let faults = findings.end().unwrap_err().to_string();
        assert_eq!(
            faults,
            "vigie.yml:2:11: “de” is not spoken here · write en or fr\n  2 |   locale: de\n    |           ^"
        );
    }

    #[test]
    fn faults_come_in_the_order_of_the_file() {
        let files = [source("f", "a\nb\n")];
        let mut findings = Findings::new("f", &files);
        findings.fault(Some(Place { line: 2, column: 1 }), "second", "x");
        findings.fault(Some(Place { line: 1, column: 1 }), "first", "x");
        findings.fault(None, "the file", "x");
        let whats: Vec<_> = findings.end().unwrap_err().0.into_iter().map(|fault| fault.what).collect();
        assert_eq!(whats, ["the file", "first", "second"]);
    }

    #[test]
    fn a_line_counted_through_all_files_is_told_as_the_files_own() {
        let files = [source("a.yml", "a: 1\n"), source("b.yml", "b: 2\nc: 3\n")];
        let mut findings = Findings::new("config", &files);
        let at = |line: u32| Some(Place { line, column: 1 });
        findings.twice("“c” stands here a second time", at(1), at(lines("a: 1\n") + 2), "keep one of the two");
        assert_eq!(
            findings.end().unwrap_err().to_string(),
            "b.yml:2:1: “c” stands here a second time; the first is at a.yml:1:1 · keep one of the two\n  2 | c: 3\n    | ^"
        );
    }
}
