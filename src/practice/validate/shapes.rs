//! The shapes of blocks, views and the objects they are made of (docs: "Block Kit reference").

use super::elements::{ACCESSORIES, ACTIONS, CONTEXT, CONTEXT_ACTIONS, INPUTS};
use super::rules::Key;
use super::rules::OptionKind;
use super::rules::Rule::{
    Any, Blocks, Bool, Cell, Confirm, Element, Elements, HttpsUrl, Int, Many, Number, Object, ObjectOrNull, OneOf,
    Options, Plain, RichText, RichTextParts, Str, StrOrPlain, Text, Type, Url,
};

pub(super) const TYPE: Key = ("type", Type, true);
pub(super) const BLOCK_ID: Key = ("block_id", Str(0, 255), false);
pub(super) const BUTTON_STYLE: &[&str] = &["primary", "danger"];

pub(super) const CONFIRM: &[Key] = &[
    ("title", Plain(100), true),
    ("text", Text(300), true),
    ("confirm", Plain(30), true),
    ("deny", Plain(30), true),
    ("style", OneOf(BUTTON_STYLE), false),
];

pub(super) const OPTION_GROUP: &[Key] =
    &[("label", Plain(75), true), ("options", Options(OptionKind::Menu, 100), true)];

pub(super) const SLACK_FILE: &[Key] = &[("url", Url(3000), false), ("id", Str(1, 255), false)];

pub(super) const RAW_TEXT: &[Key] = &[TYPE, ("text", Str(0, 3000), true)];
pub(super) const RAW_NUMBER: &[Key] = &[TYPE, ("value", Number, true), ("text", Str(1, 3000), false)];
pub(super) const RICH_TEXT: &[Key] = &[TYPE, BLOCK_ID, ("elements", RichTextParts, true)];

/// Blocks that a container holds.
pub(super) const IN_CONTAINER: &[&str] =
    &["actions", "context", "divider", "header", "image", "input", "rich_text", "section", "table", "video"];

pub(super) const MODAL: &[Key] = &[
    TYPE,
    ("title", Plain(24), true),
    ("blocks", Any, true),
    ("close", Plain(24), false),
    ("submit", Plain(24), false),
    ("private_metadata", Str(0, 3000), false),
    ("callback_id", Str(0, 255), false),
    ("clear_on_close", Bool, false),
    ("notify_on_close", Bool, false),
    ("external_id", Str(0, 255), false),
    ("submit_disabled", Bool, false),
];

pub(super) const HOME: &[Key] = &[
    TYPE,
    ("blocks", Any, true),
    ("private_metadata", Str(0, 3000), false),
    ("callback_id", Str(0, 255), false),
    ("external_id", Str(0, 255), false),
];

const IMAGE: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("alt_text", Str(1, 2000), true),
    ("image_url", Url(3000), false),
    ("slack_file", Object(SLACK_FILE), false),
    ("title", Plain(2000), false),
];

const SECTION: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("text", Text(3000), false),
    ("fields", Many(1, 10, &Text(2000)), false),
    ("accessory", Element(ACCESSORIES), false),
    ("expand", Bool, false),
];

const INPUT: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("label", Plain(2000), true),
    ("element", Element(INPUTS), true),
    ("dispatch_action", Bool, false),
    ("hint", Plain(2000), false),
    ("optional", Bool, false),
];

const VIDEO: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("alt_text", Str(1, 2000), true),
    ("title", Plain(199), true),
    ("thumbnail_url", Url(3000), true),
    ("video_url", HttpsUrl, true),
    ("author_name", Str(1, 49), false),
    ("description", Plain(199), false),
    ("provider_icon_url", Url(3000), false),
    ("provider_name", Str(1, 255), false),
    ("title_url", HttpsUrl, false),
];

const TABLE: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("rows", Many(1, 100, &Many(1, 20, &Cell)), true),
    (
        "column_settings",
        Many(
            0,
            20,
            &ObjectOrNull(&[("align", OneOf(&["left", "center", "right"]), false), ("is_wrapped", Bool, false)]),
        ),
        false,
    ),
];

const DATA_TABLE: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("caption", Str(1, 3000), true),
    ("page_size", Int(1, 100), false),
    ("row_header_column_index", Int(0, 19), false),
    ("rows", Many(2, 101, &Many(1, 20, &Cell)), true),
];

const CARD: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("hero_image", Element(&["image"]), false),
    ("icon", Element(&["image"]), false),
    ("title", Text(150), false),
    ("subtitle", Text(150), false),
    ("body", Text(200), false),
    ("actions", Elements(&["button"], 2), false),
];

const CONTAINER: &[Key] = &[
    TYPE,
    BLOCK_ID,
    ("title", Plain(150), false),
    ("rich_text_title", RichText, false),
    ("subtitle", Text(150), false),
    ("icon", Element(&["image"]), false),
    ("width", OneOf(&["narrow", "standard", "wide", "full"]), false),
    ("is_collapsible", Bool, false),
    ("default_collapsed", Bool, false),
    ("has_header_divider", Bool, false),
    ("child_blocks", Blocks(10), true),
];

const TASK_STATUS: &[&str] = &["pending", "in_progress", "complete", "error"];

const TASK_CARD: &[Key] = &[
    ("type", Type, false),
    BLOCK_ID,
    ("task_id", Str(1, 255), true),
    ("title", Str(1, 3000), true),
    ("details", RichText, false),
    ("output", RichText, false),
    ("sources", Many(0, 100, &Object(&[TYPE, ("url", Url(3000), true), ("text", Str(1, 3000), true)])), false),
    ("status", OneOf(TASK_STATUS), false),
];

/// The shape of a block of this type.
pub(super) fn block(kind: &str) -> Option<&'static [Key]> {
    Some(match kind {
        "actions" => &[TYPE, BLOCK_ID, ("elements", Elements(ACTIONS, 25), true)],
        "alert" => &[
            TYPE,
            BLOCK_ID,
            ("text", Text(3000), true),
            ("level", OneOf(&["default", "info", "warning", "error", "success"]), false),
        ],
        "card" => CARD,
        "carousel" => &[TYPE, BLOCK_ID, ("elements", Many(1, 10, &Object(CARD)), true)],
        "container" => CONTAINER,
        "context" => &[TYPE, BLOCK_ID, ("elements", Elements(CONTEXT, 10), true)],
        "context_actions" => &[TYPE, BLOCK_ID, ("elements", Elements(CONTEXT_ACTIONS, 5), true)],
        "data_table" => DATA_TABLE,
        // Charts are drawn by Slack alone; their data is taken as it is.
        "data_visualization" => &[TYPE, BLOCK_ID, ("title", Str(1, 50), true), ("chart", Any, true)],
        "divider" => &[TYPE, BLOCK_ID],
        "header" => &[TYPE, BLOCK_ID, ("text", Plain(150), true), ("level", Int(1, 4), false)],
        "image" => IMAGE,
        "input" => INPUT,
        "markdown" => &[TYPE, BLOCK_ID, ("text", Str(1, 12_000), true)],
        "plan" => &[TYPE, BLOCK_ID, ("title", StrOrPlain, true), ("tasks", Many(0, 100, &Object(TASK_CARD)), false)],
        "rich_text" => RICH_TEXT,
        "section" => SECTION,
        "table" => TABLE,
        "task_card" => TASK_CARD,
        "video" => VIDEO,
        _ => return None,
    })
}

/// Keeps the names that only element shapes use in one place with these.
pub(super) const CONFIRM_KEY: Key = ("confirm", Confirm, false);
