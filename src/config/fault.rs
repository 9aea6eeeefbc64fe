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

/// Collects the faults and warnings of one file.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    file: &'t str,
    text: &'t str,
    faults: Vec<Fault>,
    warnings: Vec<Fault>,
}

impl<'t> Findings<'t> {
    /// An empty collection for the file of this name and content.
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, faults: Vec::new(), warnings: Vec::new() }
    }

    /// Notes something that must be put right.
    pub fn fault(&mut self, place: Option<Place>, what: impl Into<String>, cure: impl Into<String>) {
        let fault = self.made(place, what.into(), cure.into());
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Notes something that works but is probably not what was meant.
    pub fn warning(&mut self, place: Option<Place>, what: impl Into<String>, cure: impl Into<String>) {
        let fault = self.made(place, what.into(), cure.into());
        self.warnings.push(fault);
    }

    /// The warnings when there is no fault, else the faults; each in the order of the file.
    pub fn end(mut self) -> Result<Vec<Fault>, Faults> {
        self.faults.sort_by_key(|fault| fault.place);
        self.warnings.sort_by_key(|fault| fault.place);
        if self.faults.is_empty() { Ok(self.warnings) } else { Err(Faults(self.faults)) }
    }

    fn made(&self, place: Option<Place>, what: String, cure: String) -> Fault {
        let snippet = place.and_then(|place| snippet(self.text, place));
        Fault { file: self.file.to_owned(), place, what: hide::in_sentence(&what), cure, snippet }
    }
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

    #[test]
    fn a_fault_is_one_line_with_the_place_and_the_line_with_a_caret() {
        let mut findings = Findings::new("vigie.yml", "workspace:\n  locale: de\n");
        findings.fault(Some(Place { line: 2, column: 11 }), "“de” is not spoken here", "write en or fr");
        let faults = findings.end().unwrap_err().to_string();
        assert_eq!(
            faults,
            "vigie.yml:2:11: “de” is not spoken here · write en or fr\n  2 |   locale: de\n    |           ^"
        );
    }

    #[test]
    fn faults_come_in_the_order_of_the_file() {
        let mut findings = Findings::new("f", "a\nb\n");
        findings.fault(Some(Place { line: 2, column: 1 }), "second", "x");
        findings.fault(Some(Place { line: 1, column: 1 }), "first", "x");
        findings.fault(None, "the file", "x");
        let whats: Vec<_> = findings.end().unwrap_err().0.into_iter().map(|fault| fault.what).collect();
        assert_eq!(whats, ["the file", "first", "second"]);
    }
}
