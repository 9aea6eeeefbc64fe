//! Rules for all blocks of a message, modal or Home together: how many, which kinds, which ids.

use std::collections::HashSet;

use serde_json::Value;

use super::elements::check_image;
use super::rules::Checker;

/// Where blocks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Surface {
    Message,
    Modal,
    Home,
}

impl Surface {
    fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Modal => "modal",
            Self::Home => "home",
        }
    }

    fn block_limit(self) -> usize {
        if self == Self::Message { 50 } else { 100 }
    }

    /// Blocks that may not be shown here.
    fn refused_blocks(self) -> &'static [&'static str] {
        match self {
            Self::Message => &["alert", "file"],
            Self::Modal => &[
                "card",
                "carousel",
                "container",
                "context_actions",
                "data_table",
                "data_visualization",
                "file",
                "markdown",
                "plan",
                "table",
                "task_card",
            ],
            Self::Home => &["alert", "context_actions", "data_table", "file", "markdown", "plan", "table", "task_card"],
        }
    }

    /// Elements that may not be used here.
    fn refused_elements(self) -> &'static [&'static str] {
        match self {
            Self::Message => &["email_text_input", "number_input", "url_text_input", "file_input", "rich_text_input"],
            Self::Modal => &[],
            Self::Home => &["email_text_input", "number_input", "url_text_input", "file_input", "datetimepicker"],
        }
    }
}

/// Checks all blocks of a surface.
pub(super) fn check_blocks(checker: &mut Checker, at: &str, blocks: &Value, surface: Surface) {
    let Some(blocks) = blocks.as_array() else {
        return checker.fault(at, "must be an array");
    };
    let limit = surface.block_limit();
    checker.need(at, blocks.len() <= limit, &format!("no more than {limit} items allowed"));
    for (index, block) in blocks.iter().enumerate() {
        let at = format!("{at}/{index}");
        checker.block(&at, block, &[]);
        check_kind(checker, &at, block, surface);
        check_parts(checker, &at, block);
        check_elements(checker, &at, block, surface);
    }
    check_ids(checker, at, blocks);
    let kind_is = |wanted: &'static str| move |block: &&Value| block["type"] == wanted;
    let tables = blocks.iter().filter(kind_is("table")).count() + blocks.iter().filter(kind_is("data_table")).count();
    checker.need(at, tables <= 1, "only one table is allowed");
    let markdown = blocks.iter().filter(kind_is("markdown")).filter_map(|block| block["text"].as_str());
    let markdown: usize = markdown.map(|text| text.chars().count()).sum();
    checker.need(at, markdown <= 12_000, "all markdown blocks together must be less than 12001 characters");
}

fn check_kind(checker: &mut Checker, at: &str, block: &Value, surface: Surface) {
    let kind = block["type"].as_str().unwrap_or_default();
    if surface.refused_blocks().contains(&kind) && kind != "file" {
        checker.fault(&format!("{at}/type"), &format!("{kind} is not allowed in a {}", surface.name()));
    }
}

/// Rules between the keys of a block.
fn check_parts(checker: &mut Checker, at: &str, block: &Value) {
    let has = |key: &str| block.get(key).is_some_and(|value| !value.is_null());
    match block["type"].as_str() {
        Some("section") => checker.need(at, has("text") || has("fields"), "missing required field: text"),
        Some("image") => check_image(checker, at, block),
        Some("card") => {
            let is_something = has("hero_image") || has("title") || has("actions") || has("body");
            checker.need(at, is_something, "must have a hero_image, title, actions or body");
        }
        Some("container") => {
            checker.need(at, has("title") || has("rich_text_title"), "missing required field: title");
        }
        Some("input") => {
            let is_file = block.pointer("/element/type").and_then(Value::as_str) == Some("file_input");
            let dispatches = block["dispatch_action"].as_bool().unwrap_or(false);
            checker.need(at, !(is_file && dispatches), "a file_input must not have dispatch_action");
        }
        _ => {}
    }
}

/// Every element of a block with its pointer.
fn elements<'a>(at: &str, block: &'a Value) -> Vec<(String, &'a Value)> {
    let single = ["accessory", "element"].into_iter().filter_map(|key| Some((format!("{at}/{key}"), block.get(key)?)));
    let many = block.get("elements").and_then(Value::as_array).into_iter().flatten().enumerate();
    single.chain(many.map(|(index, element)| (format!("{at}/elements/{index}"), element))).collect()
}

fn check_elements(checker: &mut Checker, at: &str, block: &Value, surface: Surface) {
    let mut seen = HashSet::new();
    for (at, element) in elements(at, block) {
        let kind = element["type"].as_str().unwrap_or_default();
        if surface.refused_elements().contains(&kind) {
            checker.fault(&format!("{at}/type"), &format!("{kind} is not allowed in a {}", surface.name()));
        }
        if let Some(id) = element["action_id"].as_str()
            && !seen.insert(id)
        {
            checker.fault(&format!("{at}/action_id"), &format!("action_id `{id}` already exists in this block"));
        }
    }
}

fn check_ids(checker: &mut Checker, at: &str, blocks: &[Value]) {
    let mut seen = HashSet::new();
    for (index, block) in blocks.iter().enumerate() {
        let id = block["block_id"].as_str().filter(|id| !id.is_empty());
        if let Some(id) = id
            && !seen.insert(id)
        {
            checker.fault(&format!("{at}/{index}/block_id"), &format!("block_id `{id}` already exists"));
        }
    }
}
