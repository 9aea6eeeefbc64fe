//! What makes text harmless in Slack messages and in Markdown documents.

/// Escapes the three characters that Slack's mrkdwn gives a meaning (`&`, `<`, `>`), so that text from
/// outside can neither mention anybody nor make a link. (Slack's page “Formatting message text”.)
#[must_use]
pub fn slack(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            other => safe.push(other),
        }
    }
    safe
}

/// An address as it may stand between `<` and `|` in Slack: only http, https and mailto, with the
/// characters encoded that would end the link early.
pub(super) fn slack_address(address: &str) -> Option<String> {
    let known = ["https://", "http://", "mailto:"];
    if !known.iter().any(|scheme| address.starts_with(scheme)) {
        return None;
    }
    let mut safe = String::with_capacity(address.len());
    for letter in address.chars() {
        match letter {
            '|' => safe.push_str("%7C"),
            '<' => safe.push_str("%3C"),
            '>' => safe.push_str("%3E"),
            '&' => safe.push_str("&amp;"),
            blank if blank.is_whitespace() => safe.push_str("%20"),
            other => safe.push(other),
        }
    }
    Some(safe)
}

/// Escapes what would make text from outside act in a Markdown document: HTML, links and images, code, the walls of a
/// table's cells, and at the beginning of a line a heading or a quotation. Emphasis stays, which only looks.
#[must_use]
pub(super) fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        let is_rule = !words.is_empty() && words.chars().all(|letter| matches!(letter, '=' | '-' | '*' | '_' | ' '));
        let after_marks = words.trim_start_matches('#');
        let is_heading = after_marks.len() < words.len() && after_marks.trim_start().len() < after_marks.len();
        let begins = is_heading || is_rule || words.starts_with('>') || words.starts_with("~~~");
        let blank = line.len() - line.trim_start().len();
        for (place, letter) in line.char_indices() {
            let acts = matches!(letter, '\\' | '<' | '[' | '`' | '|') || (begins && place == blank);
            if acts {
                safe.push('\\');
            }
            safe.push(letter);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_in_untrusted_text_stays_text() {
        assert_eq!(slack("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
    }

    #[test]
    fn a_link_cannot_be_closed_from_inside() {
        assert_eq!(
            slack_address("https://example.com/?a=1&b=x|y> <!here>").as_deref(),
            Some("https://example.com/?a=1&amp;b=x%7Cy%3E%20%3C!here%3E")
        );
        assert_eq!(slack_address("javascript:alert(1)"), None);
    }

    #[test]
    fn what_people_wrote_does_not_act_in_a_document() {
        assert_eq!(markdown("<b>500</b> a_b *c*"), "\\<b>500\\</b> a_b *c*");
        assert_eq!(markdown("![x](https://example.com) `c` | d\\"), "!\\[x](https://example.com) \\`c\\` \\| d\\\\");
        assert_eq!(
            markdown("it broke\n## Follow-ups\n> said\n  ----\n- one"),
            "it broke\n\\## Follow-ups\n\\> said\n  \\----\n- one"
        );
        assert_eq!(markdown("50 > 3 # 1 - 2"), "50 > 3 # 1 - 2");
        assert_eq!(markdown("#incidents"), "#incidents");
    }
}
