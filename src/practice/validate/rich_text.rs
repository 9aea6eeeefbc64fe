//! Rich text: sections, lists, quotes, preformatted text and what is in them (docs: "Rich text block").

use serde_json::Value;

use super::rules::Rule::{Any, Bool, Int, Object, OneOf, Str, Type, Url};
use super::rules::{Checker, Key};
use super::shapes::TYPE;

const STYLE: Key = (
    "style",
    Object(&[
        ("bold", Bool, false),
        ("italic", Bool, false),
        ("strike", Bool, false),
        ("underline", Bool, false),
        ("code", Bool, false),
        ("highlight", Bool, false),
        ("client_highlight", Bool, false),
        ("unlink", Bool, false),
    ]),
    false,
);
const BORDER: Key = ("border", Int(0, 1), false);

fn leaf(kind: &str) -> Option<&'static [Key]> {
    Some(match kind {
        "text" => &[TYPE, ("text", Str(1, 12_000), true), STYLE],
        "link" => &[TYPE, ("url", Url(3000), true), ("text", Str(0, 3000), false), ("unsafe", Bool, false), STYLE],
        "user" => &[TYPE, ("user_id", Str(1, 255), true), STYLE],
        "usergroup" => &[TYPE, ("usergroup_id", Str(1, 255), true), STYLE],
        "channel" => &[TYPE, ("channel_id", Str(1, 255), true), STYLE],
        "team" => &[TYPE, ("team_id", Str(1, 255), true), STYLE],
        "emoji" => &[
            TYPE,
            ("name", Str(1, 255), true),
            ("skin_tone", Int(1, 6), false),
            ("unicode", Str(1, 255), false),
            STYLE,
        ],
        "broadcast" => &[TYPE, ("range", OneOf(&["here", "channel", "everyone"]), true), STYLE],
        "color" => &[TYPE, ("value", Str(6, 7), true), STYLE],
        "date" => &[
            TYPE,
            ("timestamp", Int(0, 9_999_999_999), true),
            ("format", Str(1, 255), true),
            ("url", Url(3000), false),
            ("fallback", Str(1, 3000), false),
            STYLE,
        ],
        _ => return None,
    })
}

fn part(kind: &str) -> Option<&'static [Key]> {
    Some(match kind {
        "rich_text_section" => &[("type", Type, true), ("elements", Any, true)],
        "rich_text_quote" => &[TYPE, ("elements", Any, true), BORDER],
        "rich_text_preformatted" => &[TYPE, ("elements", Any, true), BORDER, ("language", Str(1, 255), false)],
        "rich_text_list" => &[
            TYPE,
            ("elements", Any, true),
            ("style", OneOf(&["bullet", "ordered"]), true),
            ("indent", Int(0, 8), false),
            ("offset", Int(0, 1_000_000), false),
            BORDER,
        ],
        _ => return None,
    })
}

/// Checks a section, list, quote or preformatted part.
pub(super) fn check_part(checker: &mut Checker, at: &str, value: &Value) {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let (Some(shape), Some(map)) = (part(kind), value.as_object()) else {
        return checker.fault(&format!("{at}/type"), &format!("unsupported type: {kind}"));
    };
    checker.object(at, map, shape);
    let Some(elements) = value.get("elements").and_then(Value::as_array) else {
        return checker.fault(&format!("{at}/elements"), "must be an array");
    };
    for (index, element) in elements.iter().enumerate() {
        let at = format!("{at}/elements/{index}");
        if kind == "rich_text_list" {
            let inner = element.get("type").and_then(Value::as_str).unwrap_or_default();
            checker.need(&at, inner == "rich_text_section", "must be a rich_text_section");
            check_part(checker, &at, element);
        } else {
            check_leaf(checker, &at, element);
        }
    }
}

fn check_leaf(checker: &mut Checker, at: &str, value: &Value) {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    match (leaf(kind), value.as_object()) {
        (Some(shape), Some(map)) => checker.object(at, map, shape),
        _ => checker.fault(&format!("{at}/type"), &format!("unsupported type: {kind}")),
    }
}
