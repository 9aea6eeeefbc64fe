//! The configuration's JSON Schema, for editors: completes the keys, shows what they mean, underlines what is wrong.
//!
//! It comes from the very types that read the file, their comments among it, so it knows the same keys. [`loosened`]
//! then lets stand what the reader lets stand: `${NAME}` in the place of any word or number, a number as a text, a
//! secret by `…_file`. Draft 7, because that is what YAML language servers read.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::file::File;
use super::hide;
use super::words::{At, Entries};
use crate::incident::time::Millis;

/// What stands for anything that the environment fills in.
const VARIABLE: &str = "#/definitions/Variable";

/// The schema of one configuration file, whole or one of several in a folder; for that reason no part is demanded.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<File>();
    loosened(&mut schema);
    let top = schema.ensure_object();
    top.remove("required");
    top.insert("title".to_owned(), json!("Vigie's configuration"));
    if let Some(Value::Object(definitions)) = top.get_mut("definitions") {
        definitions.insert(
            "Variable".to_owned(),
            json!({
                "description": "Filled in from the environment: ${NAME}, or ${NAME:-default}.",
                "type": "string",
                "pattern": r"\$\{[A-Za-z_]",
            }),
        );
    }
    schema.to_value()
}

/// Lets stand what the reader lets stand, from the inside outwards.
fn loosened(schema: &mut Schema) {
    transform_subschemas(&mut loosened, schema);
    let Some(object) = schema.as_object_mut() else { return };
    // A default would be shown as the program keeps it: 900000 where 15m is to be written.
    object.remove("default");
    object.remove("format");
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = ROW.replace_all(text, "").into_owned();
    }
    secret_files(object);
    if is(object, "string") {
        // The reader takes a number for the text that was written: `title: 500`.
        also(object, "number");
    }
    if is(object, "array") || (is(object, "object") && !object.contains_key("required")) {
        also(object, "null");
    }
    let number = is(object, "integer") || is(object, "boolean") || (is(object, "number") && !is(object, "string"));
    let strict = is(object, "string") && ["enum", "pattern"].iter().any(|word| object.contains_key(*word));
    if number || strict {
        let description = object.remove("description");
        let strict = std::mem::take(object);
        object.insert("anyOf".to_owned(), json!([strict, {"$ref": VARIABLE}]));
        object.extend(description.map(|text| ("description".to_owned(), text)));
    } else if let Some(Value::Array(mut choices)) = object.remove("oneOf") {
        choices.push(json!({"$ref": VARIABLE}));
        object.insert("anyOf".to_owned(), Value::Array(choices));
    }
}

/// Where the field procedures say so: of no use in an editor.
static ROW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r" \((?:section \d+|(?:row )?[A-Z]{1,2}\d+(?:(?:, |–)[A-Z]{1,2}\d+)*)\)")
        .expect("a valid regular expression")
});

fn is(object: &Map<String, Value>, kind: &str) -> bool {
    match object.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

fn also(object: &mut Map<String, Value>, kind: &str) {
    let mut kinds = match object.remove("type") {
        Some(Value::Array(several)) => several,
        one => one.into_iter().collect(),
    };
    if !kinds.iter().any(|one| one == kind) {
        kinds.push(json!(kind));
    }
    object.insert("type".to_owned(), Value::Array(kinds));
}

/// `token` may be given as `token_file: path`.
fn secret_files(object: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = object.get_mut("properties") else { return };
    let is_text = |schema: &Value| schema.as_object().is_some_and(|object| is(object, "string"));
    let secret: Vec<String> = properties
        .iter()
        .filter(|(key, schema)| hide::is_secret_key(key) && is_text(schema))
        .map(|(key, _)| key.clone())
        .collect();
    for key in &secret {
        let description =
            format!("The path of a file that holds `{key}` and nothing else; it counts from this file's folder.");
        properties.insert(format!("{key}_file"), json!({"type": "string", "description": description}));
    }
    let Some(Value::Array(required)) = object.get_mut("required") else { return };
    let either: Vec<Value> = secret
        .iter()
        .filter(|key| required.iter().any(|needed| needed == *key))
        .map(|key| json!({"anyOf": [{"required": [key]}, {"required": [format!("{key}_file")]}]}))
        .collect();
    required.retain(|needed| !secret.iter().any(|key| needed == key));
    if !either.is_empty() {
        object.insert("allOf".to_owned(), Value::Array(either));
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("{}s", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": entry, "propertyNames": {"pattern": r"^\S+$"}})
    }
}

/// Lengths are always written as people write them.
impl JsonSchema for Millis {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "[0-9]",
            "description": "A length of time such as 30s, 15m, 2h or 1h 30m.",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::parse;

    const UNKNOWN: &str = "zzqq";

    /// Every place of the schema where keys may stand, as the way there from the top: keys, and `[]` for a list's item.
    fn places(schema: &Value, root: &Value, way: &[String], found: &mut Vec<(Vec<String>, BTreeSet<String>)>) {
        if let Some(target) = schema["$ref"].as_str() {
            let pointer = target.trim_start_matches('#');
            return places(root.pointer(pointer).expect("a definition"), root, way, found);
        }
        for word in ["anyOf", "allOf", "oneOf"] {
            for choice in schema[word].as_array().into_iter().flatten() {
                places(choice, root, way, found);
            }
        }
        let down = |step: &str| [way, &[step.to_owned()]].concat();
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], false, "{way:?} takes any key");
            found.push((way.to_vec(), properties.keys().cloned().collect()));
            for (key, below) in properties {
                places(below, root, &down(key), found);
            }
        }
        if schema["additionalProperties"].is_object() {
            places(&schema["additionalProperties"], root, &down("entry"), found);
        }
        if schema["items"].is_object() {
            places(&schema["items"], root, &down("[]"), found);
        }
    }

    /// The keys that the reader says can stand there, when it finds one that it does not know.
    fn known_to_the_reader(way: &[String]) -> BTreeSet<String> {
        let text = way.iter().rev().fold(json!({UNKNOWN: 1}), |below, step| match step.as_str() {
            "[]" => json!([below]),
            key => json!({key: below}),
        });
        let faults = parse("f.yml", &text.to_string(), &|_| None).expect_err("the key is unknown").0;
        let unknown = format!("there is no key “{UNKNOWN}” here");
        let fault = faults.iter().find(|fault| fault.what == unknown);
        let fault = fault.unwrap_or_else(|| panic!("{text} is not read: {faults:?}"));
        let list = fault.cure.trim_start_matches("it can be ").trim_start_matches("it can only be ");
        list.trim_matches(['“', '”']).split(", ").map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys() {
        let schema = schema();
        let mut found = Vec::new();
        places(&schema, &schema, &[], &mut found);
        assert!(found.len() > 30, "{} places with keys", found.len());
        for (way, mut keys) in found {
            keys.retain(|key| !key.strip_suffix("_file").is_some_and(hide::is_secret_key));
            assert_eq!(keys, known_to_the_reader(&way), "at {}", way.join("."));
        }
    }

    #[test]
    fn every_key_has_a_sentence_that_says_what_it_is() {
        fn look(value: &Value, way: &str, bare: &mut Vec<String>) {
            let Some(object) = value.as_object() else { return };
            for (key, below) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if below["description"].as_str().is_none_or(str::is_empty) {
                    bare.push(format!("{way}.{key}"));
                }
            }
            for (key, below) in object {
                look(below, &format!("{way}/{key}"), bare);
            }
        }
        let mut bare = Vec::new();
        look(&schema(), "", &mut bare);
        assert!(bare.is_empty(), "{bare:?}");
        assert!(!schema().to_string().contains("(E1)"), "field procedures mean nothing in an editor");
    }

    #[test]
    fn a_variable_may_stand_for_a_number_and_a_file_for_a_secret() {
        let schema = schema();
        let email = &schema["definitions"]["EmailConfig"]["properties"];
        assert!(
            email["port"]["anyOf"].as_array().is_some_and(|choices| choices.iter().any(|one| one["$ref"] == VARIABLE))
        );
        assert_eq!(email["password_file"]["type"], "string");
        let sms = &schema["definitions"]["SmsConfig"];
        assert_eq!(sms["required"], json!(["account_sid"]));
        assert_eq!(sms["allOf"][0]["anyOf"][1]["required"][0], "auth_token_file");
    }
}
