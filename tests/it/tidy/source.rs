//! Reads the tracked files for `tidy`: as text, and Rust files also as tokens, so that neither a comment nor a string is
//! ever mistaken for code. Judges nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A file that git knows, or would know after `git add`.
pub struct Tracked {
    /// Relative to the top, with `/`.
    pub path: String,
    pub text: String,
}

/// A Rust file as tokens.
pub struct Source {
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
}

/// One word or mark; a bracket is a token of its own, `::` is one token.
pub struct Token {
    pub text: String,
    pub line: usize,
    /// Compiled for tests only.
    pub in_test: bool,
}

/// Every text file of the repository that is still there.
pub fn tracked() -> Vec<Tracked> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(top)
        .output()
        .expect("git lists the tracked files");
    assert!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).expect("file names are UTF-8");
    let files: BTreeSet<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
    assert!(files.contains("Cargo.toml"), "git lists no Cargo.toml: {files:?}");
    files
        .into_iter()
        .filter_map(|path| {
            let text = std::fs::read_to_string(top.join(path)).ok()?;
            Some(Tracked { path: path.to_owned(), text })
        })
        .collect()
}

/// Every Rust file, as tokens that know whether they are compiled for tests only.
pub fn rust() -> Vec<Source> {
    let mut sources: Vec<Source> = tracked().into_iter().filter(|file| file.path.ends_with(".rs")).map(parse).collect();
    // `#[cfg(test)] mod promises;` makes another file a test file: `promises.rs`, or the folder of that name.
    let test_files: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let module = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let for_tests = !source.path.starts_with("src/")
            || test_files.iter().any(|file| module == file || module.starts_with(&format!("{file}/")));
        if for_tests {
            source.tokens.iter_mut().for_each(|token| token.in_test = true);
        }
    }
    sources
}

impl Source {
    /// The lines on which these tokens follow each other; `pattern` has a space between tokens.
    pub fn lines_saying(&self, pattern: &str, in_tests_too: bool) -> Vec<usize> {
        let wanted: Vec<&str> = pattern.split(' ').collect();
        self.tokens
            .windows(wanted.len())
            .filter(|found| in_tests_too || !found[0].in_test)
            .filter(|found| found.iter().zip(&wanted).all(|(token, word)| token.text == *word))
            .map(|found| found[0].line)
            .collect()
    }

    /// The plain texts that follow these tokens outside tests: `(line, text)`.
    pub fn texts_after(&self, pattern: &str) -> Vec<(usize, &str)> {
        let wanted: Vec<&str> = pattern.split(' ').collect();
        self.tokens
            .windows(wanted.len() + 1)
            .filter(|found| !found[0].in_test && found.iter().zip(&wanted).all(|(token, word)| token.text == *word))
            .filter_map(|found| {
                let last = found.last()?;
                Some((last.line, last.text.strip_prefix('"')?.strip_suffix('"')?))
            })
            .collect()
    }

    /// The paths that start at `root` (`crate`, or the crate's name), with `{…}` spread out: `(line, ["store", "Store"])`.
    /// A chain of `super` that climbs out of the room counts too.
    pub fn paths_from(&self, root: &str) -> Vec<(usize, Vec<String>)> {
        let depth = self.path.trim_start_matches("src/").trim_end_matches("/mod.rs").split('/').count();
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let climbs = self.climb(at);
            if self.word(at) == root && self.word(at + 1) == "::" && (at == 0 || self.word(at - 1) != "::") {
                self.spread(at + 2, &[], &mut found);
            } else if climbs >= depth {
                self.spread(at + 2 * climbs, &[], &mut found);
            }
            at += 1.max(2 * climbs);
        }
        found
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn climb(&self, at: usize) -> usize {
        (0..).take_while(|step| self.word(at + 2 * step) == "super" && self.word(at + 2 * step + 1) == "::").count()
    }

    /// Reads one path at `at`, or each path of a `{…}`; gives the place after it.
    fn spread(&self, mut at: usize, before: &[String], found: &mut Vec<(usize, Vec<String>)>) -> usize {
        let mut path = before.to_vec();
        loop {
            if self.word(at) == "{" {
                at += 1;
                while at < self.tokens.len() && self.word(at) != "}" {
                    at = if self.word(at) == "," { at + 1 } else { self.spread(at, &path, found) };
                }
                return at + 1;
            }
            path.push(self.word(at).to_owned());
            if self.word(at + 1) != "::" {
                found.push((self.tokens.get(at).map_or(0, |token| token.line), path));
                at += 1;
                while self.word(at) == "as" {
                    at += 2;
                }
                return at;
            }
            at += 2;
        }
    }

    /// The names of the test functions, with their lines.
    pub fn tests(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if self.word(at) == "#" && self.word(at + 1) == "[" {
                let end = self.closing(at + 1);
                let inside: Vec<&str> = (at + 2..end).map(|place| self.word(place)).collect();
                let path = inside.split(|word| *word == "(").next().unwrap_or_default();
                if path.last() == Some(&"test") {
                    let name =
                        (end..self.tokens.len()).find(|place| self.word(*place) == "fn").map_or(end, |fun| fun + 1);
                    found.push((self.tokens[name].line, self.word(name).to_owned()));
                }
                at = end;
            }
            at += 1;
        }
        found
    }

    /// The place of the bracket that closes the one at `open`.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0;
        for at in open..self.tokens.len() {
            match self.word(at) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len()
    }

    fn mark_tests(&mut self) {
        let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
        let mut at = 0;
        while at + attribute.len() < self.tokens.len() {
            if (0..attribute.len()).all(|step| self.word(at + step) == attribute[step]) {
                let mut end = at + attribute.len();
                while end < self.tokens.len() && !matches!(self.word(end), ";" | "{") {
                    end = if matches!(self.word(end), "(" | "[") { self.closing(end) + 1 } else { end + 1 };
                }
                if self.word(end) == "{" {
                    end = self.closing(end);
                }
                let last = end.min(self.tokens.len() - 1);
                self.tokens[at..=last].iter_mut().for_each(|token| token.in_test = true);
                at = end;
            }
            at += 1;
        }
    }
}

fn parse(file: Tracked) -> Source {
    let stream: TokenStream = file.text.parse().unwrap_or_else(|error| panic!("{}: not Rust: {error}", file.path));
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let mut source = Source { path: file.path, text: file.text, tokens };
    source.mark_tests();
    source
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut colon_before = false;
    for tree in stream {
        let mut push = |text: String, line: usize| tokens.push(Token { text, line, in_test: false });
        let mut colon = false;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned(), group.span_open().start().line);
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line, in_test: false });
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' && colon_before => {
                if let Some(first) = tokens.last_mut() {
                    first.text.push(':');
                }
            }
            TokenTree::Punct(mark) => {
                colon = mark.as_char() == ':' && mark.spacing() == Spacing::Joint;
                push(mark.as_char().to_string(), mark.span().start().line);
            }
            TokenTree::Ident(name) => push(name.to_string(), name.span().start().line),
            TokenTree::Literal(value) => push(value.to_string(), value.span().start().line),
        }
        colon_before = colon;
    }
}

/// The modules that `source` declares for tests only and keeps in files of their own, as paths without `.rs`.
fn test_modules(source: &Source) -> Vec<String> {
    let folder = match source.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => source.path.trim_end_matches(".rs").to_owned(),
    };
    source
        .tokens
        .windows(3)
        .filter(|found| found[0].in_test && found[0].text == "mod" && found[2].text == ";")
        .map(|found| format!("{folder}/{}", found[1].text))
        .collect()
}
