//! Interactive elements: finding them in blocks, and what choosing something in them adds to `state.values` and `actions`.

use serde_json::{Map, Value, json};

/// Where an element stands.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub block_id: String,
    pub action_id: String,
    pub element: Value,
}

impl Found {
    pub fn kind(&self) -> &str {
        self.element.get("type").and_then(Value::as_str).unwrap_or_default()
    }
}

/// The key that a kind of element keeps its value under; none for one without a value.
pub(crate) fn value_key(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "plain_text_input" | "email_text_input" | "url_text_input" | "number_input" => "value",
        "static_select" | "external_select" | "radio_buttons" => "selected_option",
        "multi_static_select" | "multi_external_select" | "checkboxes" => "selected_options",
        "users_select" => "selected_user",
        "multi_users_select" => "selected_users",
        "conversations_select" => "selected_conversation",
        "multi_conversations_select" => "selected_conversations",
        "channels_select" => "selected_channel",
        "multi_channels_select" => "selected_channels",
        "datepicker" => "selected_date",
        "timepicker" => "selected_time",
        "datetimepicker" => "selected_date_time",
        "rich_text_input" => "rich_text_value",
        "file_input" => "files",
        _ => return None,
    })
}

/// The key of an entry of `actions` that says what was chosen; none for a button.
pub(crate) fn chosen_key(kind: &str) -> Option<&'static str> {
    if kind == "overflow" { Some("selected_option") } else { value_key(kind) }
}

pub(crate) fn is_interactive(kind: &str) -> bool {
    matches!(kind, "button" | "overflow" | "workflow_button") || value_key(kind).is_some()
}

pub(crate) fn takes_many(kind: &str) -> bool {
    kind.starts_with("multi_") || kind == "checkboxes" || kind == "file_input"
}

/// Every interactive element of these blocks, in reading order.
pub(crate) fn elements(blocks: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    for block in blocks.as_array().into_iter().flatten() {
        let block_id = block.get("block_id").and_then(Value::as_str).unwrap_or_default();
        let places = [block.get("accessory"), block.get("element")];
        let many = block.get("elements").and_then(Value::as_array).into_iter().flatten();
        for element in places.into_iter().flatten().chain(many) {
            let kind = element.get("type").and_then(Value::as_str).unwrap_or_default();
            let action_id = element.get("action_id").and_then(Value::as_str).unwrap_or_default();
            if is_interactive(kind) {
                found.push(Found {
                    block_id: block_id.to_owned(),
                    action_id: action_id.to_owned(),
                    element: element.clone(),
                });
            }
        }
    }
    found
}

/// The element a person means: by its action id, `block id/action id`, what it says, or its value.
pub(crate) fn find(blocks: &Value, wanted: &str) -> Option<Found> {
    let all = elements(blocks);
    let says = |found: &Found| found.element.pointer("/text/text").and_then(Value::as_str).map(str::to_owned);
    let is_meant: [&dyn Fn(&Found) -> bool; 4] = [
        &|found| found.action_id == wanted,
        &|found| format!("{}/{}", found.block_id, found.action_id) == wanted,
        &|found| says(found).is_some_and(|text| text == wanted),
        &|found| found.element.get("value").and_then(Value::as_str) == Some(wanted),
    ];
    is_meant.iter().find_map(|fits| all.iter().find(|found| fits(found))).cloned()
}

/// What there is to click, for a sentence.
pub(crate) fn describe(blocks: &Value) -> String {
    let names: Vec<String> = elements(blocks)
        .iter()
        .map(|found| {
            let text = found.element.pointer("/text/text").and_then(Value::as_str).unwrap_or(found.kind());
            format!("{} ({text})", found.action_id)
        })
        .collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Every option of a select, of all its groups.
pub(crate) fn options(element: &Value) -> Vec<Value> {
    let plain = element.get("options").and_then(Value::as_array).into_iter().flatten();
    let grouped = element
        .get("option_groups")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|group| group.get("options").and_then(Value::as_array))
        .flatten();
    plain.chain(grouped).cloned().collect()
}

fn option<'a>(options: &'a [Value], wanted: &Value) -> Option<&'a Value> {
    if wanted.is_object() {
        return options.iter().find(|option| option.get("value") == wanted.get("value"));
    }
    let wanted = wanted.as_str()?;
    let by_value = options.iter().find(|option| option.get("value").and_then(Value::as_str) == Some(wanted));
    by_value
        .or_else(|| options.iter().find(|option| option.pointer("/text/text").and_then(Value::as_str) == Some(wanted)))
}

fn missing(options: &[Value], wanted: &Value) -> String {
    let all: Vec<&str> =
        options.iter().filter_map(|option| option.pointer("/text/text").and_then(Value::as_str)).collect();
    format!("there is no option {wanted}; there are: {}", all.join(", "))
}

/// The value an element takes when a person chooses `choice` in it.
///
/// `given` are the options an external select was offered by the app.
pub(crate) fn value(found: &Found, choice: &Value, given: &[Value]) -> Result<Value, String> {
    let mut known = options(&found.element);
    known.extend(given.iter().cloned());
    let key = chosen_key(found.kind());
    match key {
        Some("selected_option") if choice.is_null() => Ok(Value::Null),
        Some("selected_option") => option(&known, choice).cloned().ok_or_else(|| missing(&known, choice)),
        Some("selected_options") => {
            let wanted = match choice {
                Value::Array(many) => many.clone(),
                Value::Null => Vec::new(),
                one => vec![one.clone()],
            };
            let chosen: Result<Vec<Value>, String> =
                wanted.iter().map(|one| option(&known, one).cloned().ok_or_else(|| missing(&known, one))).collect();
            Ok(Value::Array(chosen?))
        }
        Some("value") => match choice {
            Value::String(text) if text.is_empty() => Ok(Value::Null),
            Value::String(_) | Value::Null => Ok(choice.clone()),
            Value::Number(number) => Ok(json!(number.to_string())),
            other => Err(format!("a text field takes text, not {other}")),
        },
        Some(_) if takes_many(found.kind()) && !choice.is_array() => Ok(json!([choice])),
        Some(_) => Ok(choice.clone()),
        None => Err(format!("a {} has no value", found.kind())),
    }
}

/// `state.values` of freshly shown blocks.
pub(crate) fn initial_values(blocks: &Value) -> Map<String, Value> {
    let mut values = Map::new();
    for found in elements(blocks) {
        let Some(key) = value_key(found.kind()) else {
            continue;
        };
        let element = &found.element;
        let initial = match key {
            "value" => element.get("initial_value"),
            "selected_option" => element.get("initial_option"),
            "selected_options" => element.get("initial_options"),
            "rich_text_value" => element.get("initial_value"),
            other => {
                let name = other.replace("selected", "initial");
                element.get(name.as_str())
            }
        };
        let empty = if takes_many(found.kind()) { json!([]) } else { Value::Null };
        let initial = initial.cloned().unwrap_or(empty);
        put(&mut values, &found, initial);
    }
    values
}

/// Writes an element's value into `state.values`.
pub(crate) fn put(values: &mut Map<String, Value>, found: &Found, value: Value) {
    let Some(key) = value_key(found.kind()) else {
        return;
    };
    let block = values.entry(found.block_id.clone()).or_insert_with(|| json!({}));
    if let Value::Object(block) = block {
        block.insert(found.action_id.clone(), json!({"type": found.kind(), key: value}));
    }
}

/// Keeps what was chosen before in inputs that are still there.
pub(crate) fn keep(values: &mut Map<String, Value>, before: &Map<String, Value>) {
    for (block_id, block) in values.iter_mut() {
        let Some(old_block) = before.get(block_id).and_then(Value::as_object) else {
            continue;
        };
        for (action_id, value) in block.as_object_mut().into_iter().flatten() {
            if let Some(old) = old_block.get(action_id).filter(|old| old.get("type") == value.get("type")) {
                *value = old.clone();
            }
        }
    }
}

/// The entry of `actions` for an element that was used.
pub(crate) fn action(found: &Found, chosen: Option<&Value>, action_ts: &str) -> Value {
    let mut action = json!({
        "type": found.kind(),
        "action_id": found.action_id,
        "block_id": found.block_id,
        "action_ts": action_ts,
    });
    let Value::Object(map) = &mut action else {
        return action;
    };
    for key in ["text", "value", "url", "style", "confirm", "placeholder", "accessibility_label"] {
        if let Some(given) = found.element.get(key).filter(|_| key != "text" || found.kind() == "button") {
            map.insert(key.to_owned(), given.clone());
        }
    }
    let key = chosen_key(found.kind());
    if let (Some(key), Some(chosen)) = (key, chosen) {
        map.insert(key.to_owned(), chosen.clone());
    }
    action
}

/// What Slack's own form would say about these inputs before it lets them go: block id → sentence.
pub(crate) fn form_faults(blocks: &Value, values: &Map<String, Value>) -> Map<String, Value> {
    let mut faults = Map::new();
    for block in blocks.as_array().into_iter().flatten().filter(|block| block["type"] == "input") {
        let (Some(block_id), Some(element)) = (block["block_id"].as_str(), block.get("element")) else {
            continue;
        };
        let (Some(action_id), Some(kind)) = (element["action_id"].as_str(), element["type"].as_str()) else {
            continue;
        };
        let Some(key) = value_key(kind) else { continue };
        let value = values.get(block_id).and_then(|b| b.get(action_id)).and_then(|v| v.get(key));
        let fault = form_fault(block, element, kind, value.unwrap_or(&Value::Null));
        if let Some(fault) = fault {
            faults.insert(block_id.to_owned(), json!(fault));
        }
    }
    faults
}

fn form_fault(block: &Value, element: &Value, kind: &str, value: &Value) -> Option<String> {
    let is_empty = match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(many) => many.is_empty(),
        _ => false,
    };
    if is_empty {
        let is_optional = block["optional"].as_bool().unwrap_or(false);
        return (!is_optional).then(|| "Please complete this required field.".to_owned());
    }
    let text = value.as_str().unwrap_or_default();
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    match kind {
        "plain_text_input" => {
            let (min, max) = (element["min_length"].as_u64(), element["max_length"].as_u64().unwrap_or(3000));
            if min.is_some_and(|min| length < min) {
                return Some(format!("Must be at least {} characters.", min.unwrap_or_default()));
            }
            (length > max).then(|| format!("Must be at most {max} characters."))
        }
        "number_input" => {
            let Ok(number) = text.parse::<f64>() else {
                return Some("Enter a number.".to_owned());
            };
            let decimals = element["is_decimal_allowed"].as_bool().unwrap_or(false);
            if !decimals && number.fract() != 0.0 {
                return Some("Enter a whole number.".to_owned());
            }
            let bound = |key: &str| element[key].as_str().and_then(|bound| bound.parse::<f64>().ok());
            if bound("min_value").is_some_and(|min| number < min) || bound("max_value").is_some_and(|max| number > max)
            {
                return Some("Enter a number within the limits.".to_owned());
            }
            None
        }
        "email_text_input" => (!text.contains('@')).then(|| "Enter an e-mail address.".to_owned()),
        "url_text_input" => url::Url::parse(text).is_err().then(|| "Enter a URL.".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Value {
        json!([
            {"type": "actions", "block_id": "b1", "elements": [
                {"type": "button", "action_id": "ack", "value": "ack inc_1", "text": {"type": "plain_text", "text": "Acknowledge"}},
                {"type": "overflow", "action_id": "more", "options": [
                    {"text": {"type": "plain_text", "text": "Resolve"}, "value": "resolve inc_1"}]}]},
            {"type": "input", "block_id": "b2", "label": {"type": "plain_text", "text": "Title"},
             "element": {"type": "plain_text_input", "action_id": "title", "max_length": 5, "initial_value": "old"}},
        ])
    }

    #[test]
    fn a_button_is_found_by_id_text_or_value() {
        for wanted in ["ack", "b1/ack", "Acknowledge", "ack inc_1"] {
            assert_eq!(find(&blocks(), wanted).map(|found| found.action_id).as_deref(), Some("ack"));
        }
        assert!(find(&blocks(), "nothing").is_none());
    }

    #[test]
    fn an_option_is_chosen_by_value_or_text_and_a_wrong_one_refused() {
        let found = find(&blocks(), "more").expect("the menu is there");
        let known = options(&found.element);
        assert!(option(&known, &json!("Resolve")).is_some());
        assert!(option(&known, &json!("resolve inc_1")).is_some());
        assert!(option(&known, &json!("Explode")).is_none());
    }

    #[test]
    fn a_form_asks_for_what_is_missing_or_too_long() {
        let mut values = initial_values(&blocks());
        assert!(form_faults(&blocks(), &values).is_empty());
        let found = find(&blocks(), "title").expect("the input is there");
        put(&mut values, &found, json!("much too long"));
        assert_eq!(form_faults(&blocks(), &values)["b2"], "Must be at most 5 characters.");
        put(&mut values, &found, Value::Null);
        assert_eq!(form_faults(&blocks(), &values)["b2"], "Please complete this required field.");
    }
}
