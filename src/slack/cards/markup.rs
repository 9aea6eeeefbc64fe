//! Slack's mrkdwn as a type: what is in it is escaped, once.
//!
//! Only the renderer's output, our own tokens and [`Mrkdwn::of`] make one, so text from outside cannot reach a block
//! as markup. (Slack's page “Formatting message text”.)

use crate::incident::id::{ChannelId, UserId};
use crate::render::escape_slack;

/// Text in Slack's mrkdwn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mrkdwn(String);

impl Mrkdwn {
    /// Text from anybody, escaped.
    pub fn of(text: &str) -> Self {
        Self(escape_slack(text))
    }

    /// What the renderer made, or a token of ours: escaped already.
    pub(super) fn made(markup: impl Into<String>) -> Self {
        Self(markup.into())
    }

    /// `<@U…>`; an id that Slack would not give stays text.
    pub fn mention(user: &UserId) -> Self {
        if is_id(&user.0) { Self(format!("<@{}>", user.0)) } else { Self::of(&user.0) }
    }

    /// `<#C…>`; an id that Slack would not give stays text.
    pub fn channel(channel: &ChannelId) -> Self {
        if is_id(&channel.0) { Self(format!("<#{}>", channel.0)) } else { Self::of(&channel.0) }
    }

    /// Lines that somebody wrote, quoted; several empty lines together become one.
    pub fn quote(text: &str) -> Self {
        let mut lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
        lines.dedup_by(|next, before| next.is_empty() && before.is_empty());
        let quoted: Vec<String> = lines.iter().map(|line| format!("> {}", escape_slack(line))).collect();
        Self(quoted.join("\n"))
    }

    /// One after another with `between` in the gaps; empty ones are left out.
    pub fn join(parts: impl IntoIterator<Item = Mrkdwn>, between: &str) -> Self {
        let parts: Vec<String> = parts.into_iter().map(|part| part.0).filter(|part| !part.trim().is_empty()).collect();
        Self(parts.join(between))
    }

    /// The same text beginning with a capital; a token at the beginning stays.
    #[must_use]
    pub fn capital(&self) -> Self {
        let mut letters = self.0.chars();
        let first = letters.next().map(|first| first.to_uppercase().collect::<String>());
        Self(first.unwrap_or_default() + letters.as_str())
    }

    /// The same text without letters that nobody sees.
    #[must_use]
    pub(super) fn visible(&self) -> Self {
        Self(visible(&self.0))
    }

    /// The same text without the marks of bold letters and code, which phones show as they are.
    #[must_use]
    pub(super) fn unmarked(&self) -> Self {
        Self(self.0.replace(['*', '`'], ""))
    }

    /// The first line.
    #[must_use]
    pub fn first_line(&self) -> Self {
        Self(self.0.lines().next().unwrap_or_default().to_owned())
    }

    /// The text as it goes to Slack.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Nothing that could be seen.
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Length as Slack may count it.
    pub fn size(&self) -> usize {
        size(&self.0)
    }

    /// At most `most` long; `…` says that something was cut. Tokens and entities are cut whole or not at all.
    #[must_use]
    pub fn fit(&self, most: usize) -> Self {
        if self.size() <= most {
            return self.clone();
        }
        let mut kept = String::new();
        let mut room = most.saturating_sub(1);
        let mut rest = self.0.as_str();
        while let Some(atom) = first_atom(rest) {
            let Some(left) = room.checked_sub(size(atom)) else { break };
            room = left;
            kept.push_str(atom);
            rest = rest.get(atom.len()..).unwrap_or_default();
        }
        kept.truncate(kept.trim_end().len());
        kept.push('…');
        Self(kept)
    }

    /// Web addresses standing bare in the text, made links. Blocks are sent `verbatim`, so that Slack itself turns no
    /// `@channel` into a mention; links are then ours to make.
    #[must_use]
    pub fn linked(&self) -> Self {
        let mut out = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(atom) = first_atom(rest) {
            let starts_word = out.chars().next_back().is_none_or(|last| !last.is_alphanumeric());
            let address = if starts_word { address_at(rest) } else { None };
            match address {
                Some(address) => {
                    out.push('<');
                    out.push_str(address);
                    out.push('>');
                    rest = rest.get(address.len()..).unwrap_or_default();
                }
                None => {
                    out.push_str(atom);
                    rest = rest.get(atom.len()..).unwrap_or_default();
                }
            }
        }
        Self(out)
    }
}

/// Slack's ids: a capital, then capitals and digits.
fn is_id(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// UTF-16 units: never fewer than characters, so that whatever Slack counts, it fits.
pub(super) fn size(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The text without letters that nobody sees and that change how others are read: an override of the writing direction
/// could make a plan's `v1 → v2` read backwards. Text in any script reads as before.
pub(super) fn visible(text: &str) -> String {
    let hidden = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = |c: &char| !hidden(c) && (!c.is_control() || matches!(c, '\n' | '\t'));
    text.chars().filter(kept).collect()
}

/// Plain text of at most `most`; `…` says that something was cut.
pub(in crate::slack) fn fit(text: &str, most: usize) -> String {
    if size(text) <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(1);
    let kept = text.chars().take_while(|c| match room.checked_sub(c.len_utf16()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    });
    let kept: String = kept.collect();
    format!("{}…", kept.trim_end())
}

/// The last `most` of a text, from a whole line on where there is one: outputs matter at their end.
pub(super) fn tail(text: &str, most: usize) -> String {
    let text = text.trim_end();
    let over = size(text).saturating_sub(most);
    if over == 0 {
        return text.to_owned();
    }
    let mut dropped = 0;
    let start = text.char_indices().find(|(_, c)| {
        let enough = dropped > over;
        dropped += c.len_utf16();
        enough
    });
    let rest = start.and_then(|(at, _)| text.get(at..)).unwrap_or_default();
    let whole = rest.split_once('\n').map(|(_, after)| after).filter(|after| !after.is_empty());
    format!("…{}", whole.map_or_else(|| rest.to_owned(), |after| format!("\n{after}")))
}

/// What must not be cut apart: a token `<…>`, an entity `&…;`, else one character.
fn first_atom(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let end = match first {
        '<' => text.find('>').map(|at| at + 1),
        '&' => text.find(';').map(|at| at + 1).filter(|end| *end <= 5),
        _ => None,
    };
    text.get(..end.unwrap_or(first.len_utf8()))
}

/// The web address that `text` begins with, without the punctuation that follows it.
fn address_at(text: &str) -> Option<&str> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return None;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '|' | '"' | '`' | '«' | '»' | '“' | '”');
    let word = text.get(..text.find(ends).unwrap_or(text.len()))?;
    // Escaped brackets end an address as real ones do.
    let word = word.split("&lt;").next()?.split("&gt;").next()?;
    let address = word.trim_end_matches(['.', ',', ':', '!', '?', ')', ']', '*', '_', '~', '…', '\'']);
    let host = address.split_once("://").map(|(_, rest)| rest)?;
    host.starts_with(|c: char| c.is_alphanumeric() || c == '[').then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped_once() {
        assert_eq!(Mrkdwn::of("<!channel> & \"x\"").as_str(), "&lt;!channel&gt; &amp; \"x\"");
        assert_eq!(Mrkdwn::mention(&UserId::from("U1|x> <!here")).as_str(), "U1|x&gt; &lt;!here");
    }

    #[test]
    fn a_cut_never_goes_through_a_token_or_an_entity() {
        let text = Mrkdwn::made("ab &amp; <@U123>");
        assert_eq!(text.fit(7).as_str(), "ab…");
        assert_eq!(text.fit(9).as_str(), "ab &amp;…");
        assert_eq!(text.fit(15).as_str(), "ab &amp;…");
        assert_eq!(text.fit(16), text);
    }

    #[test]
    fn bare_addresses_become_links_and_nothing_else_does() {
        let linked = |text: &str| Mrkdwn::of(text).linked().0;
        assert_eq!(linked("see https://example.com/a?b=1&c=2."), "see <https://example.com/a?b=1&amp;c=2>.");
        assert_eq!(linked("<https://example.com|x>"), "&lt;<https://example.com>|x&gt;");
        assert_eq!(linked("xhttps://example.com https:// @channel"), "xhttps://example.com https:// @channel");
        let ours = Mrkdwn::made("<https://example.com/|the page>");
        assert_eq!(ours.linked(), ours);
    }

    #[test]
    fn nothing_makes_a_line_read_backwards() {
        assert_eq!(visible("v1\u{202e} → v2\u{0}\n"), "v1 → v2\n");
    }

    #[test]
    fn of_a_long_output_the_end_is_kept() {
        assert_eq!(tail("one\ntwo\nthree", 9), "…\nthree");
        assert_eq!(tail("abcdefgh", 5), "…efgh");
        assert_eq!(tail("short\n", 9), "short");
    }

    proptest::proptest! {
        #[test]
        fn what_was_cut_fits(text in ".{0,200}", most in 1_usize..100) {
            let made = Mrkdwn::of(&text).linked();
            proptest::prop_assert!(made.fit(most).size() <= most);
            proptest::prop_assert!(size(&fit(&text, most)) <= most);
            proptest::prop_assert!(size(&tail(&text, most)) <= most + 1);
        }
    }
}
