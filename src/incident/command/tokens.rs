//! From what a thumb typed to words.
//!
//! Phones turn `--` into a dash and quotes into typographic ones; Slack escapes `& < >` and wraps mentions and links.
//! Apostrophes are letters (`it's slow`), and quotes group words only behind an option (`--service "web shop"`),
//! so that free text stays as it was typed.

/// Put before a word of free text that looks like an option, so that the grammar leaves it alone; taken off again
/// by [`plain_word`]. An invisible separator that nobody types.
pub const GUARD: char = '\u{2063}';

/// A word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word; with a line break before it where a new line begins.
    pub text: String,
    /// It stood in quotes, and may be several words.
    pub quoted: bool,
}

/// Splits a command line into words.
pub fn split(line: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut rest = line;
    loop {
        let trimmed = rest.trim_start_matches(is_space);
        let gap = rest.len() - trimmed.len();
        let new_line = !words.is_empty() && rest.get(..gap).is_some_and(|gap| gap.contains('\n'));
        if trimmed.is_empty() {
            return words;
        }
        let after_option =
            words.last().is_some_and(|word| as_option(&word.text).is_some_and(|word| !word.contains('=')));
        let in_quotes = if after_option { quoted(trimmed) } else { None };
        let quoted = in_quotes.is_some();
        let (text, remainder) = in_quotes.unwrap_or_else(|| plain(trimmed));
        words.push(Word { text: if new_line && !quoted { format!("\n{text}") } else { text }, quoted });
        rest = remainder;
    }
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}' | '\u{2060}')
}

/// One word up to the next space; a Slack reference `<…|two words>` is one word.
fn plain(text: &str) -> (String, &str) {
    let reference = text.strip_prefix('<').filter(|rest| rest.starts_with(['@', '#', '!']) || rest.starts_with("http"));
    let end = match reference.and_then(|_| text.find('>')) {
        Some(close) => close + 1,
        None => text.find(is_space).unwrap_or(text.len()),
    };
    let (word, rest) = text.split_at(end);
    (word.to_owned(), rest)
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.chars();
    let close: &[char] = match chars.next()? {
        '"' | '“' | '”' => &['"', '”', '“'],
        '„' => &['“', '”', '"'],
        '«' => &['»'],
        _ => return None,
    };
    let inside = chars.as_str();
    let end = inside.find(close)?;
    let (word, rest) = inside.split_at(end);
    let rest = rest.chars().next().map_or(rest, |c| rest.get(c.len_utf8()..).unwrap_or_default());
    Some((word.trim_matches(is_space).to_owned(), rest))
}

/// A text as it is written behind an option, so that it is read back as it is.
pub fn quote(text: &str) -> String {
    let begins_quoted = text.starts_with(['"', '“', '”', '„', '«']);
    match text.contains(['"', '“', '”']) {
        false if !text.is_empty() && !text.contains(is_space) && !begins_quoted => text.to_owned(),
        false => format!("\"{text}\""),
        true => format!("«{text}»"),
    }
}

/// A line from words that a shell has split already: what it kept together behind an option is quoted again.
pub fn line_of(words: &[String]) -> String {
    let mut line = String::new();
    let mut after_option = false;
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&if after_option { quote(word) } else { word.clone() });
        after_option = as_option(word).is_some_and(|word| !word.contains('='));
    }
    line
}

/// The option that a word is: `--drill`, or `—drill`, which a phone made of it. A lone dash is none.
pub fn as_option(word: &str) -> Option<String> {
    let word = word.trim_start_matches('\n');
    let bare = ["--", "—", "–"].iter().find_map(|dash| word.strip_prefix(dash))?;
    bare.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| format!("--{bare}"))
}

/// A word as plain text: Slack's escapes undone, references replaced by what people see.
/// A mention never survives as a mention.
pub fn plain_word(word: &str) -> Result<String, std::convert::Infallible> {
    Ok(plain_text(word.strip_prefix(GUARD).unwrap_or(word)))
}

/// A text as plain text, see `plain_word`.
pub fn plain_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        let reference = from.find('>').and_then(|close| Some((from.get(1..close)?, from.get(close + 1..)?)));
        match reference.and_then(|(inside, after)| Some((shown(inside)?, after))) {
            Some((shown, after)) => {
                out.push_str(&shown);
                rest = after;
            }
            None => {
                out.push('<');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What people see of a Slack reference; `None` when it is none.
fn shown(inside: &str) -> Option<String> {
    let (target, label) = inside.split_once('|').map_or((inside, None), |(target, label)| (target, Some(label)));
    let label = label.filter(|label| !label.is_empty());
    let mut chars = target.chars();
    match chars.next()? {
        '@' => Some(format!("@{}", label.unwrap_or(chars.as_str()).trim_start_matches('@'))),
        '#' => Some(format!("#{}", label.unwrap_or(chars.as_str()).trim_start_matches('#'))),
        '!' => Some(format!("@{}", label.unwrap_or(chars.as_str()).trim_start_matches('@'))),
        _ if target.starts_with("http") || target.starts_with("mailto:") => Some(match label {
            Some(label) if !target.ends_with(label) => format!("{label} ({target})"),
            _ => target.trim_start_matches("mailto:").to_owned(),
        }),
        _ => None,
    }
}

/// Words of free text put together again.
pub fn join(words: &[String]) -> String {
    words.join(" ").replace(" \n", "\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn apostrophes_and_quotes_in_free_text_stay_as_typed() {
        assert_eq!(join(&texts("note it’s  the \"new\" one")), "note it’s the \"new\" one");
    }

    #[test]
    fn a_phones_dash_is_an_option_and_a_lone_dash_is_not() {
        assert_eq!(as_option("—drill").as_deref(), Some("--drill"));
        assert_eq!(as_option("–in").as_deref(), Some("--in"));
        assert_eq!(as_option("--next=5").as_deref(), Some("--next=5"));
        for word in ["—", "--", "-5", "-drill", "drill"] {
            assert_eq!(as_option(word), None, "{word}");
        }
        assert_eq!(texts("note a — b"), ["note", "a", "—", "b"]);
    }

    #[test]
    fn quotes_of_any_kind_group_behind_an_option() {
        for line in ["--service \"web shop\" x", "--service “web shop” x", "--service « web shop » x"] {
            assert_eq!(texts(line), ["--service", "web shop", "x"], "{line}");
            assert_eq!(split(line).iter().map(|word| word.quoted).collect::<Vec<_>>(), [false, true, false]);
        }
        assert_eq!(texts("—service “web shop”"), ["—service", "web shop"]);
    }

    #[test]
    fn a_mention_in_free_text_becomes_plain_text() {
        assert_eq!(plain_text("ask <@U1|lead> in <#C1|ops>, not <!channel>"), "ask @lead in #ops, not @channel");
        assert_eq!(plain_text("a &lt;b&gt; &amp;lt; c < d"), "a <b> &lt; c < d");
        assert_eq!(plain_text("see <https://example.com/x>"), "see https://example.com/x");
    }

    #[test]
    fn what_is_quoted_is_read_back_as_it_was() {
        for text in ["web-5d9", "two words", "a \"b\" c", "«x", "“x” y", "1.2.3 (v1)"] {
            assert_eq!(texts(&format!("--to {} --in inc_7", quote(text))), ["--to", text, "--in", "inc_7"]);
        }
    }

    #[test]
    fn lines_of_a_note_stay_lines() {
        assert_eq!(join(&texts("one\ntwo  three\n\nfour")), "one\ntwo three\nfour");
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_panic(line in ".{0,400}") {
            let words = texts(&line);
            plain_text(&join(&words));
        }
    }

    #[test]
    fn what_a_shell_kept_together_behind_an_option_stays_together() {
        let words = ["approve", "run_1_1", "--break-glass", "nobody answers", "now"].map(str::to_owned);
        assert_eq!(line_of(&words), "approve run_1_1 --break-glass \"nobody answers\" now");
        let words = ["note", "the disk is full", "--", "x"].map(str::to_owned);
        assert_eq!(line_of(&words), "note the disk is full -- x");
    }
}
