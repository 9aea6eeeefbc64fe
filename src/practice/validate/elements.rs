//! Block elements: buttons, menus, pickers, inputs, images (docs: "Block elements").

use serde_json::Value;

use super::rules::Rule::{
    Any, Bool, Date, Int, Many, NumberText, Object, OneOf, Option, OptionGroups, Options, Plain, RichText, Str,
    Strings, Time, Url,
};
use super::rules::{Checker, Key, OptionKind};
use super::shapes::{BUTTON_STYLE, CONFIRM_KEY, SLACK_FILE, TYPE};

pub(super) const ACTIONS: &[&str] = &[
    "button",
    "checkboxes",
    "datepicker",
    "datetimepicker",
    "timepicker",
    "overflow",
    "radio_buttons",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "workflow_button",
];

pub(super) const ACCESSORIES: &[&str] = &[
    "button",
    "checkboxes",
    "datepicker",
    "timepicker",
    "image",
    "overflow",
    "radio_buttons",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "workflow_button",
];

pub(super) const INPUTS: &[&str] = &[
    "plain_text_input",
    "email_text_input",
    "url_text_input",
    "number_input",
    "checkboxes",
    "radio_buttons",
    "datepicker",
    "datetimepicker",
    "timepicker",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "rich_text_input",
    "file_input",
];

pub(super) const CONTEXT: &[&str] = &["image", "plain_text", "mrkdwn"];
pub(super) const CONTEXT_ACTIONS: &[&str] = &["feedback_buttons", "icon_button"];

const ACTION_ID: Key = ("action_id", Str(1, 255), false);
const FOCUS: Key = ("focus_on_load", Bool, false);
const PLACEHOLDER: Key = ("placeholder", Plain(150), false);
const OPTIONS: Key = ("options", Options(OptionKind::Menu, 100), false);
const GROUPS: Key = ("option_groups", OptionGroups, false);
const INITIAL_OPTION: Key = ("initial_option", Option(OptionKind::Menu), false);
const INITIAL_OPTIONS: Key = ("initial_options", Options(OptionKind::Menu, 100), false);
const MAX_SELECTED: Key = ("max_selected_items", Int(1, 1000), false);
const MIN_QUERY: Key = ("min_query_length", Int(0, 1000), false);
const RESPONSE_URL: Key = ("response_url_enabled", Bool, false);
const LABEL: Key = ("accessibility_label", Str(1, 75), false);
const DISPATCH: Key = (
    "dispatch_action_config",
    Object(&[("trigger_actions_on", Many(1, 2, &OneOf(&["on_enter_pressed", "on_character_entered"])), true)]),
    false,
);
const FILTER: Key = (
    "filter",
    Object(&[
        ("include", Many(1, 4, &OneOf(&["im", "mpim", "private", "public"])), false),
        ("exclude_external_shared_channels", Bool, false),
        ("exclude_bot_users", Bool, false),
    ]),
    false,
);
const FEEDBACK: &[Key] = &[("text", Plain(75), true), ("value", Str(1, 2000), true), LABEL];

/// The shape of an element of this type.
fn shape(kind: &str) -> std::option::Option<&'static [Key]> {
    Some(match kind {
        "button" => &[
            TYPE,
            ("text", Plain(75), true),
            ACTION_ID,
            ("url", Url(3000), false),
            ("value", Str(1, 2000), false),
            ("style", OneOf(BUTTON_STYLE), false),
            CONFIRM_KEY,
            LABEL,
        ],
        "icon_button" => &[
            TYPE,
            ("icon", OneOf(&["trash"]), true),
            ("text", Plain(75), true),
            ACTION_ID,
            ("value", Str(1, 2000), false),
            CONFIRM_KEY,
            LABEL,
            ("visible_to_user_ids", Strings, false),
        ],
        "feedback_buttons" => {
            &[TYPE, ACTION_ID, ("positive_button", Object(FEEDBACK), true), ("negative_button", Object(FEEDBACK), true)]
        }
        "workflow_button" => &[
            TYPE,
            ("text", Plain(75), true),
            ("workflow", Any, true),
            ("action_id", Str(1, 255), true),
            ("style", OneOf(BUTTON_STYLE), false),
            LABEL,
        ],
        "overflow" => &[TYPE, ACTION_ID, ("options", Options(OptionKind::Overflow, 5), true), CONFIRM_KEY],
        "checkboxes" => &[
            TYPE,
            ACTION_ID,
            ("options", Options(OptionKind::Choice, 10), true),
            ("initial_options", Options(OptionKind::Choice, 10), false),
            CONFIRM_KEY,
            FOCUS,
        ],
        "radio_buttons" => &[
            TYPE,
            ACTION_ID,
            ("options", Options(OptionKind::Choice, 10), true),
            ("initial_option", Option(OptionKind::Choice), false),
            CONFIRM_KEY,
            FOCUS,
        ],
        _ => return menu(kind).or_else(|| field(kind)),
    })
}

fn menu(kind: &str) -> std::option::Option<&'static [Key]> {
    Some(match kind {
        "static_select" => &[TYPE, ACTION_ID, OPTIONS, GROUPS, INITIAL_OPTION, CONFIRM_KEY, FOCUS, PLACEHOLDER],
        "external_select" => &[TYPE, ACTION_ID, INITIAL_OPTION, MIN_QUERY, CONFIRM_KEY, FOCUS, PLACEHOLDER],
        "users_select" => &[TYPE, ACTION_ID, ("initial_user", Str(1, 255), false), CONFIRM_KEY, FOCUS, PLACEHOLDER],
        "conversations_select" => &[
            TYPE,
            ACTION_ID,
            ("initial_conversation", Str(1, 255), false),
            ("default_to_current_conversation", Bool, false),
            RESPONSE_URL,
            FILTER,
            CONFIRM_KEY,
            FOCUS,
            PLACEHOLDER,
        ],
        "channels_select" => {
            &[TYPE, ACTION_ID, ("initial_channel", Str(1, 255), false), RESPONSE_URL, CONFIRM_KEY, FOCUS, PLACEHOLDER]
        }
        "multi_static_select" => {
            &[TYPE, ACTION_ID, OPTIONS, GROUPS, INITIAL_OPTIONS, CONFIRM_KEY, MAX_SELECTED, FOCUS, PLACEHOLDER]
        }
        "multi_external_select" => {
            &[TYPE, ACTION_ID, MIN_QUERY, INITIAL_OPTIONS, CONFIRM_KEY, MAX_SELECTED, FOCUS, PLACEHOLDER]
        }
        "multi_users_select" => {
            &[TYPE, ACTION_ID, ("initial_users", Strings, false), CONFIRM_KEY, MAX_SELECTED, FOCUS, PLACEHOLDER]
        }
        "multi_conversations_select" => &[
            TYPE,
            ACTION_ID,
            ("initial_conversations", Strings, false),
            ("default_to_current_conversation", Bool, false),
            FILTER,
            CONFIRM_KEY,
            MAX_SELECTED,
            FOCUS,
            PLACEHOLDER,
        ],
        "multi_channels_select" => {
            &[TYPE, ACTION_ID, ("initial_channels", Strings, false), CONFIRM_KEY, MAX_SELECTED, FOCUS, PLACEHOLDER]
        }
        _ => return None,
    })
}

fn field(kind: &str) -> std::option::Option<&'static [Key]> {
    Some(match kind {
        "datepicker" => &[TYPE, ACTION_ID, ("initial_date", Date, false), CONFIRM_KEY, FOCUS, PLACEHOLDER],
        "timepicker" => &[
            TYPE,
            ACTION_ID,
            ("initial_time", Time, false),
            ("timezone", Str(1, 255), false),
            CONFIRM_KEY,
            FOCUS,
            PLACEHOLDER,
        ],
        "datetimepicker" => &[TYPE, ACTION_ID, ("initial_date_time", Int(0, 9_999_999_999), false), CONFIRM_KEY, FOCUS],
        "plain_text_input" => &[
            TYPE,
            ACTION_ID,
            ("initial_value", Str(0, 3000), false),
            ("multiline", Bool, false),
            ("min_length", Int(0, 3000), false),
            ("max_length", Int(1, 3000), false),
            DISPATCH,
            FOCUS,
            PLACEHOLDER,
        ],
        "email_text_input" => &[TYPE, ACTION_ID, ("initial_value", Str(0, 3000), false), DISPATCH, FOCUS, PLACEHOLDER],
        "url_text_input" => &[TYPE, ACTION_ID, ("initial_value", Str(0, 3000), false), DISPATCH, FOCUS, PLACEHOLDER],
        "number_input" => &[
            TYPE,
            ACTION_ID,
            ("is_decimal_allowed", Bool, true),
            ("initial_value", NumberText, false),
            ("min_value", NumberText, false),
            ("max_value", NumberText, false),
            DISPATCH,
            FOCUS,
            PLACEHOLDER,
        ],
        "rich_text_input" => {
            &[TYPE, ("action_id", Str(1, 255), true), ("initial_value", RichText, false), DISPATCH, FOCUS, PLACEHOLDER]
        }
        "file_input" => &[TYPE, ACTION_ID, ("filetypes", Strings, false), ("max_files", Int(1, 10), false)],
        "image" => &[
            TYPE,
            ("alt_text", Str(1, 2000), true),
            ("image_url", Url(3000), false),
            ("slack_file", Object(SLACK_FILE), false),
        ],
        "plain_text" => &[TYPE, ("text", Str(1, 3000), true), ("emoji", Bool, false)],
        "mrkdwn" => &[TYPE, ("text", Str(1, 3000), true), ("verbatim", Bool, false)],
        _ => return None,
    })
}

/// Checks an element that must be one of these types.
pub(super) fn check(checker: &mut Checker, at: &str, element: &Value, allowed: &[&str]) {
    let kind = element.get("type").and_then(Value::as_str).unwrap_or_default();
    let (Some(shape), true) = (shape(kind), allowed.contains(&kind)) else {
        return checker.fault(&format!("{at}/type"), &format!("unsupported type: {kind}"));
    };
    if let Some(map) = element.as_object() {
        checker.object(at, map, shape);
    }
    match kind {
        "static_select" | "multi_static_select" => {
            let has = |key: &str| element.get(key).is_some_and(|value| !value.is_null());
            checker.need(at, has("options") != has("option_groups"), "must have either options or option_groups");
        }
        "image" => check_image(checker, at, element),
        "plain_text_input" => {
            let (min, max) = (element["min_length"].as_i64(), element["max_length"].as_i64());
            let fits = min.zip(max).is_none_or(|(min, max)| min <= max);
            checker.need(at, fits, "min_length must not be more than max_length");
        }
        _ => {}
    }
    check_initial(checker, at, element);
}

/// An image has exactly one source.
pub(super) fn check_image(checker: &mut Checker, at: &str, image: &Value) {
    let has = |key: &str| image.get(key).is_some_and(|value| !value.is_null());
    checker.need(at, has("image_url") != has("slack_file"), "must have either image_url or slack_file");
}

/// What is chosen at first must be there to choose.
fn check_initial(checker: &mut Checker, at: &str, element: &Value) {
    let groups = element.get("option_groups").and_then(Value::as_array).into_iter().flatten();
    let options: Vec<&Value> = element
        .get("options")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(groups.filter_map(|group| group.get("options").and_then(Value::as_array)).flatten())
        .collect();
    if options.is_empty() {
        return;
    }
    let is_there = |initial: &Value| options.iter().any(|option| option["value"] == initial["value"]);
    if let Some(initial) = element.get("initial_option").filter(|initial| !initial.is_null()) {
        checker.need(at, is_there(initial), "initial_option must be one of the options");
    }
    let many = element.get("initial_options").and_then(Value::as_array).into_iter().flatten();
    for initial in many {
        checker.need(at, is_there(initial), "initial_options must be among the options");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_element_has_a_shape() {
        for kind in ACTIONS.iter().chain(ACCESSORIES).chain(INPUTS).chain(CONTEXT).chain(CONTEXT_ACTIONS) {
            assert!(shape(kind).is_some(), "{kind} has no shape");
        }
    }
}
