//! Builders of blocks that cannot be refused for their size (platform facts, section 2.3).
//!
//! Cards are written as [`Part`]s, which hold text of any length; `message` and [`surface`] make Slack's blocks of
//! them, cut to what Slack takes. What has no text is left out, since Slack refuses empty text.

use slack_morphism::prelude::*;
use url::Url;

use super::markup::{Mrkdwn, fit, size, tail, visible};
use crate::slack::scene::Drawn;

/// Blocks of one message.
pub const MESSAGE_BLOCKS: usize = 50;
/// Blocks of a modal or of Home.
pub const SURFACE_BLOCKS: usize = 100;
/// All text of one message together. Slack answers `msg_blocks_too_long` somewhere above 13,000.
pub const MESSAGE_TEXT: usize = 11_900;
/// All text of a modal or of Home: the whole view may have 250 kB.
pub const SURFACE_TEXT: usize = 50_000;
/// A notification's text; `chat.update` takes no more than 4,000.
pub const NOTIFICATION_TEXT: usize = 3_000;
/// One piece of it, so that a long title leaves room for what comes behind it.
const PIECE: usize = 600;

const HEADER: usize = 150;
const SECTION: usize = 3_000;
const CONTEXT: usize = 2_000;
const OUTPUT: usize = 1_500;
const BUTTON_TEXT: usize = 75;
const BUTTON_VALUE: usize = 2_000;
const BUTTON_URL: usize = 3_000;
const OPTION_TEXT: usize = 75;
const OPTION_VALUE: usize = 75;
const ROW: usize = 5;
const OVERFLOW: usize = 5;
const CONFIRM_TITLE: usize = 100;
const CONFIRM_TEXT: usize = 300;
const CONFIRM_WORD: usize = 30;
/// A text is not cut below this to make room for others.
const LEAST: usize = 120;

/// How a button stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The most likely next step; one a message.
    Primary,
    /// Changes production and may lose something.
    Danger,
}

/// The question Slack asks before a button does anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirm {
    /// What it is about.
    pub title: String,
    /// The one line that matters.
    pub text: String,
    /// The word that does it.
    pub yes: String,
    /// The word that does not.
    pub no: String,
    /// It changes production.
    pub danger: bool,
}

/// A button. Its value is the command line it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Button {
    id: String,
    text: String,
    value: Option<String>,
    url: Option<Url>,
    style: Option<Style>,
    confirm: Option<Confirm>,
}

impl Button {
    /// A button that stands for the command line `line`.
    pub fn new(id: &str, text: impl Into<String>, line: impl Into<String>) -> Self {
        Self { id: id.into(), text: text.into(), value: Some(line.into()), url: None, style: None, confirm: None }
    }

    /// A button that opens a web page; nothing when the address is none or too long.
    pub fn link(id: &str, text: impl Into<String>, address: &str) -> Option<Self> {
        let url = web_address(address).filter(|url| size(url.as_str()) <= BUTTON_URL)?;
        Some(Self { id: id.into(), text: text.into(), value: None, url: Some(url), style: None, confirm: None })
    }

    /// The same button as the next likely step.
    #[must_use]
    pub fn primary(self) -> Self {
        self.styled(Some(Style::Primary))
    }

    /// The same button in this style.
    #[must_use]
    pub fn styled(mut self, style: Option<Style>) -> Self {
        self.style = style;
        self
    }

    /// The same button with a question before it.
    #[must_use]
    pub fn asking(mut self, confirm: Confirm) -> Self {
        self.confirm = Some(confirm);
        self
    }

    fn build(self) -> SlackBlockButtonElement {
        let style = self.style.map(|style| match style {
            Style::Primary => SlackBlockButtonStyle::Primary,
            Style::Danger => SlackBlockButtonStyle::Danger,
        });
        SlackBlockButtonElement::new(plain(&self.text, BUTTON_TEXT))
            .with_action_id(SlackActionId(self.id))
            .opt_value(self.value.map(|value| fit(&value, BUTTON_VALUE)))
            .opt_url(self.url)
            .opt_style(style)
            .opt_confirm(self.confirm.map(Confirm::build))
    }
}

impl Confirm {
    fn build(self) -> SlackBlockConfirmItem {
        SlackBlockConfirmItem::new(
            plain(&self.title, CONFIRM_TITLE),
            SlackBlockText::Plain(plain_text(&self.text, CONFIRM_TEXT)),
            plain(&self.yes, CONFIRM_WORD),
            plain(&self.no, CONFIRM_WORD),
        )
        .opt_style(self.danger.then(|| "danger".to_owned()))
    }
}

/// One line of an overflow menu. Its value is the command line it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What people read.
    pub text: String,
    /// The command line.
    pub line: String,
}

impl Choice {
    /// A line of a menu.
    pub fn new(text: impl Into<String>, line: impl Into<String>) -> Self {
        Self { text: text.into(), line: line.into() }
    }
}

/// One piece of a card.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// The large line.
    Header(String),
    /// Text.
    Text(Mrkdwn),
    /// Text with one button beside it.
    Beside(Mrkdwn, Box<Button>),
    /// Small print.
    Small(Mrkdwn),
    /// The last lines of a program's output.
    Output(String),
    /// A line across.
    Divider,
    /// Buttons in a row, the rest in a menu. At most five together.
    Row(Vec<Button>, Vec<Choice>),
    /// Something that only a modal has.
    Input(Box<SlackInputBlock>),
}

impl Part {
    /// Text with one button beside it.
    pub fn beside(text: Mrkdwn, button: Button) -> Self {
        Part::Beside(text, Box::new(button))
    }

    /// The same part without letters that nobody sees.
    fn visible(self) -> Self {
        match self {
            Part::Header(text) => Part::Header(visible(&text)),
            Part::Output(text) => Part::Output(visible(&text)),
            Part::Text(text) => Part::Text(text.visible()),
            Part::Small(text) => Part::Small(text.visible()),
            Part::Beside(text, button) => Part::Beside(text.visible(), button),
            Part::Row(..) | Part::Divider | Part::Input(_) => self,
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Part::Header(text) | Part::Output(text) => text.trim().is_empty(),
            Part::Text(text) | Part::Small(text) | Part::Beside(text, _) => text.is_empty(),
            Part::Row(buttons, choices) => buttons.is_empty() && choices.is_empty(),
            Part::Divider | Part::Input(_) => false,
        }
    }

    /// Everything that Slack may count as its text.
    fn size(&self) -> usize {
        match self {
            Part::Header(text) | Part::Output(text) => size(text),
            Part::Text(text) | Part::Small(text) => text.size(),
            Part::Beside(text, button) => text.size() + size(&button.text),
            Part::Row(buttons, choices) => {
                let buttons: usize = buttons.iter().map(|button| size(&button.text)).sum();
                buttons + choices.iter().map(|choice| size(&choice.text)).sum::<usize>()
            }
            Part::Divider | Part::Input(_) => 0,
        }
    }

    /// The same part with its text cut to `most` and to what its kind of block takes.
    fn cut(self, most: usize) -> Self {
        match self {
            Part::Header(text) => Part::Header(fit(text.trim(), HEADER)),
            Part::Text(text) => Part::Text(text.fit(most.min(SECTION))),
            Part::Beside(text, button) => Part::Beside(text.fit(most.min(SECTION)), button),
            Part::Small(text) => Part::Small(text.fit(most.min(CONTEXT))),
            Part::Output(text) => Part::Output(tail(&text, most.min(OUTPUT))),
            Part::Row(buttons, choices) => row(buttons, choices),
            Part::Divider | Part::Input(_) => self,
        }
    }

    fn can_be_cut(&self) -> bool {
        matches!(self, Part::Text(_) | Part::Beside(..) | Part::Small(_) | Part::Output(_))
    }

    fn build(self) -> SlackBlock {
        match self {
            Part::Header(text) => SlackHeaderBlock::new(plain(&text, HEADER)).into(),
            Part::Text(text) => SlackSectionBlock::new().with_text(mrkdwn(&text)).into(),
            Part::Beside(text, button) => {
                SlackSectionBlock::new().with_text(mrkdwn(&text)).with_accessory(button.build().into()).into()
            }
            Part::Small(text) => {
                SlackContextBlock::new(vec![SlackContextBlockElement::MarkDown(verbatim(&text))]).into()
            }
            Part::Output(text) => {
                let lines = SlackRichTextPreformatted::new(vec![SlackRichTextText::new(text).into()]);
                SlackRichTextBlock::new(vec![lines.into()]).into()
            }
            Part::Divider => SlackDividerBlock::new().into(),
            Part::Row(buttons, choices) => {
                let mut elements: Vec<SlackActionBlockElement> =
                    buttons.into_iter().map(|button| button.build().into()).collect();
                elements.extend(menu(choices).map(SlackActionBlockElement::from));
                SlackActionsBlock::new(elements).into()
            }
            Part::Input(input) => SlackBlock::Input(*input),
        }
    }
}

/// A message: what its notification says in one line, piece by piece, and its blocks.
pub fn told(notification: impl IntoIterator<Item = Mrkdwn>, parts: Vec<Part>) -> Drawn {
    let pieces = notification.into_iter().map(|piece| piece.visible().first_line().unmarked().fit(PIECE));
    let text = Mrkdwn::join(pieces, " · ").fit(NOTIFICATION_TEXT);
    Drawn { text: text.as_str().to_owned(), blocks: message(parts) }
}

/// The blocks of a message.
fn message(parts: Vec<Part>) -> Vec<SlackBlock> {
    build(parts, MESSAGE_BLOCKS, MESSAGE_TEXT)
}

/// The blocks of a modal or of Home.
pub fn surface(parts: Vec<Part>) -> Vec<SlackBlock> {
    build(parts, SURFACE_BLOCKS, SURFACE_TEXT)
}

/// Lines put together into texts that fit into one block each, in order.
pub fn lines(lines: impl IntoIterator<Item = Mrkdwn>) -> Vec<Part> {
    let mut parts: Vec<Mrkdwn> = Vec::new();
    for line in lines {
        let line = line.fit(SECTION);
        match parts.last_mut() {
            Some(last) if last.size() + 1 + line.size() <= SECTION => {
                *last = Mrkdwn::join([std::mem::take(last), line], "\n");
            }
            _ => parts.push(line),
        }
    }
    parts.into_iter().map(Part::Text).collect()
}

fn build(parts: Vec<Part>, most_blocks: usize, most_text: usize) -> Vec<SlackBlock> {
    let cut = parts.into_iter().map(|part| part.visible().cut(SECTION));
    let mut parts: Vec<Part> = cut.filter(|part| !part.is_empty()).collect();
    drop_surplus(&mut parts, most_blocks);
    shorten(&mut parts, most_text);
    parts.into_iter().map(Part::build).collect()
}

/// Takes the last texts away until the number of blocks is right. Buttons and inputs stay: they are what the card is for.
fn drop_surplus(parts: &mut Vec<Part>, most: usize) {
    while parts.len() > most {
        let text = parts.iter().rposition(|part| part.can_be_cut() || matches!(part, Part::Divider | Part::Header(_)));
        parts.remove(text.unwrap_or(parts.len() - 1));
    }
}

/// Cuts the longest texts until all together fit.
fn shorten(parts: &mut [Part], most: usize) {
    loop {
        let total: usize = parts.iter().map(Part::size).sum();
        let Some(over) = total.checked_sub(most + 1).map(|over| over + 1) else { return };
        let longest = parts.iter_mut().filter(|part| part.can_be_cut()).max_by_key(|part| part.size());
        let Some(longest) = longest.filter(|part| part.size() > LEAST) else { return };
        let length = longest.size().saturating_sub(over).max(longest.size() / 2).max(LEAST);
        let whole = std::mem::replace(longest, Part::Divider);
        *longest = whole.cut(length);
    }
}

/// At most five things in a row, of which one may be a menu of at most five lines. A line that does not fit into an
/// option's value is left out: cut, it would be another command.
fn row(mut buttons: Vec<Button>, mut choices: Vec<Choice>) -> Part {
    choices.retain(|choice| size(&choice.line) <= OPTION_VALUE);
    choices.truncate(OVERFLOW);
    buttons.truncate(if choices.is_empty() { ROW } else { ROW - 1 });
    Part::Row(buttons, choices)
}

fn menu(choices: Vec<Choice>) -> Option<SlackBlockOverflowElement> {
    let option = |choice: Choice| SlackBlockChoiceItem::new(plain(&choice.text, OPTION_TEXT), choice.line);
    let options: Vec<_> = choices.into_iter().map(option).collect();
    (!options.is_empty()).then(|| SlackBlockOverflowElement::new(options).with_action_id("more".into()))
}

/// An address that people may be sent to: http or https.
pub fn web_address(address: &str) -> Option<Url> {
    Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

pub(in crate::slack) fn plain(text: &str, most: usize) -> SlackBlockPlainTextOnly {
    SlackBlockPlainTextOnly::from(plain_text(text, most))
}

fn plain_text(text: &str, most: usize) -> SlackBlockPlainText {
    SlackBlockPlainText::new(fit(&visible(text), most))
}

pub(in crate::slack) fn mrkdwn(text: &Mrkdwn) -> SlackBlockText {
    SlackBlockText::MarkDown(verbatim(text))
}

/// Sent as it is: Slack shall make no mention of an `@channel` that somebody wrote.
fn verbatim(text: &Mrkdwn) -> SlackBlockMarkDownText {
    let linked = text.linked();
    let text = if linked.size() <= SECTION { linked } else { text.clone() };
    SlackBlockMarkDownText::new(text.as_str().to_owned()).with_verbatim(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(text: &str) -> Mrkdwn {
        Mrkdwn::of(&text.repeat(40_000))
    }

    #[test]
    fn more_text_than_slack_takes_is_cut_where_it_is_longest() {
        let parts = vec![
            Part::Text(Mrkdwn::of("short")),
            Part::Text(long("a")),
            Part::Text(long("b")),
            Part::Text(long("&")),
            Part::Small(long("c")),
            Part::Output("d\n".repeat(9_000)),
        ];
        let blocks = message(parts);
        let all = serde_json::to_value(&blocks).unwrap();
        assert_eq!(all[0]["text"]["text"], "short");
        let total: usize = (0..4).map(|n| size(all[n]["text"]["text"].as_str().unwrap())).sum();
        assert!(total <= MESSAGE_TEXT, "{total}");
        assert_eq!(blocks.len(), 6);
    }

    #[test]
    fn when_there_are_too_many_blocks_the_buttons_stay() {
        let mut parts: Vec<Part> = (0..80).map(|n| Part::Text(Mrkdwn::of(&format!("line {n}")))).collect();
        parts.push(Part::Row(vec![Button::new("ack", "Acknowledge", "ack --in inc_7")], vec![]));
        let blocks = message(parts);
        assert_eq!(blocks.len(), MESSAGE_BLOCKS);
        assert!(matches!(blocks.last(), Some(SlackBlock::Actions(_))));
    }

    #[test]
    fn a_row_has_five_places_and_the_menu_takes_one() {
        let buttons: Vec<Button> = (0..7).map(|n| Button::new(&format!("b{n}"), "x", "list")).collect();
        let choices = vec![Choice::new("y", "list"), Choice::new("z", "note ".repeat(30))];
        let blocks = serde_json::to_value(message(vec![Part::Row(buttons, choices)])).unwrap();
        let elements = blocks[0]["elements"].as_array().unwrap();
        assert_eq!(elements.len(), 5);
        assert_eq!(elements[4]["options"].as_array().unwrap().len(), 1, "a cut command would be another command");
    }

    #[test]
    fn a_button_that_leads_anywhere_but_to_the_web_is_none() {
        assert!(Button::link("call", "Join", "javascript:alert(1)").is_none());
        assert!(Button::link("call", "Join", "https://meet.example.com/x").is_some());
    }

    #[test]
    fn parts_without_text_are_left_out() {
        let parts = vec![Part::Header(" ".into()), Part::Text(Mrkdwn::default()), Part::Row(vec![], vec![])];
        assert!(message(parts).is_empty());
    }
}
