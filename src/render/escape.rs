//! What makes text harmless in Slack messages.

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
}
