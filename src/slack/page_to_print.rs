//! Markdown as one page of HTML that needs nothing else: to be read off line, printed, or hung on a wall.
//!
//! The Markdown holds what people wrote, so HTML in it is shown as text, links lead to the web or to a mailbox only, and
//! images, which would be fetched from elsewhere, are shown by their words.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::render::Locale;

/// The look of the page, on a screen and on paper; follows the reader's light or dark.
const STYLE: &str = include_str!("page_to_print.css");

/// The whole page.
pub fn page(locale: Locale, title: &str, markdown: &str) -> String {
    let mut body = String::new();
    html::push_html(&mut body, harmless(markdown));
    let mut head = String::new();
    html::push_html(&mut head, std::iter::once(Event::Text(CowStr::Borrowed(title))));
    format!(
        "<!doctype html>\n<html lang=\"{locale}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{head}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn harmless(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    // Links do not stand within links, so one flag is enough.
    let mut dropped = false;
    Parser::new_ext(markdown, options).filter_map(move |event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Link { ref dest_url, .. }) => {
            dropped = !is_allowed(dest_url);
            if dropped { None } else { Some(event) }
        }
        Event::End(TagEnd::Link) => {
            let keep = !std::mem::take(&mut dropped);
            keep.then_some(event)
        }
        other => Some(other),
    })
}

fn is_allowed(address: &str) -> bool {
    let known = |url: url::Url| matches!(url.scheme(), "http" | "https" | "mailto");
    url::Url::parse(address).is_ok_and(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> String {
        page(Locale::En, "x", markdown).split("<main>\n").nth(1).unwrap().to_owned()
    }

    #[test]
    fn html_in_what_people_wrote_is_shown_as_text() {
        let shown = shown("a <b onclick=x>b</b>\n\n<script>alert(1)</script>\n\n<div>\nc\n</div>");
        assert!(!shown.contains("<b ") && !shown.contains("<script") && !shown.contains("<div"), "{shown}");
        assert!(shown.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{shown}");
    }

    #[test]
    fn links_lead_to_the_web_or_to_a_mailbox_only() {
        let shown =
            shown("[a](javascript:alert(1)) [b](https://example.com) [c](data:text/html,x) [d](mailto:d@example.com)");
        assert_eq!(shown.matches("<a ").count(), 2, "{shown}");
        assert!(!shown.contains("javascript") && !shown.contains("data:"), "{shown}");
        assert!(shown.contains("<p>a <a href=\"https://example.com\">b</a> c"), "{shown}");
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let shown = shown("![seen](https://example.com/pixel.png)");
        assert!(!shown.contains("<img") && shown.contains("seen"), "{shown}");
    }

    #[test]
    fn tables_and_check_lists_are_drawn() {
        let shown = shown("| a |\n|---|\n| b |\n\n- [x] done");
        assert!(shown.contains("<td>b</td>") && shown.contains("checkbox"), "{shown}");
    }

    #[test]
    fn a_title_cannot_close_its_tag() {
        assert!(page(Locale::Fr, "</title><script>", "x").contains("<title>&lt;/title&gt;&lt;script&gt;</title>"));
    }
}
