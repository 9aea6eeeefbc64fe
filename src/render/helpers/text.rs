//! Helpers that shape words: lists, plurals, numbers, cutting to length.

use handlebars::RenderErrorReason;
use serde_json::{Map, Value};

use super::{Call, Dialect};
use crate::render::Locale;

type Words = Result<Value, RenderErrorReason>;

/// `{{upper text}}`: capital letters.
pub(super) fn upper(call: &Call<'_, '_>) -> Words {
    Ok(call.words(0)?.to_uppercase().into())
}

/// `{{oneline text}}`: every run of blanks and line breaks becomes one space; blanks that hold words together stay.
pub(super) fn oneline(call: &Call<'_, '_>) -> Words {
    Ok(one_line(&call.words(0)?).into())
}

pub(super) fn one_line(text: &str) -> String {
    const TIES: [char; 2] = ['\u{a0}', '\u{202f}'];
    let parts = text.split(|letter: char| letter.is_whitespace() && !TIES.contains(&letter));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `{{cell text}}`: text that may stand in a cell of a Markdown table. In a document the walls of cells are escaped anyway.
pub(super) fn cell(call: &Call<'_, '_>) -> Words {
    let text = one_line(&call.words(0)?);
    Ok(if call.style.dialect == Dialect::Markdown { text } else { text.replace('|', "\\|") }.into())
}

/// `{{default text otherwise}}`: the second where the first is absent, null or empty.
pub(super) fn default(call: &Call<'_, '_>) -> Words {
    let given = call.helper.param(0).filter(|value| !value.is_value_missing()).map(handlebars::PathAndJson::value);
    match given {
        None | Some(Value::Null) => Ok(call.argument(1)?.clone()),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(call.argument(1)?.clone()),
        Some(value) => Ok(value.clone()),
    }
}

/// `{{truncate text n}}`: at most `n` characters, the last being `…` where something was cut.
pub(super) fn truncate(call: &Call<'_, '_>) -> Words {
    let text = call.words(0)?;
    let most = usize::try_from(call.whole(1)?).map_err(|_| call.fault("needs a length that is not negative"))?;
    Ok(cut(&text, most).into())
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let Some(kept) = most.checked_sub(1) else {
        return String::new();
    };
    let mut short: String = text.chars().take(kept).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// `{{plural n one many}}`: the word for `n` of it. French counts zero as singular, English as plural.
pub(super) fn plural(call: &Call<'_, '_>) -> Words {
    let count = call.argument(0)?.as_f64().ok_or_else(|| call.fault("needs a number first"))?.abs();
    let singular = match call.style.locale {
        Locale::En => (count - 1.0).abs() < f64::EPSILON,
        Locale::Fr => count < 2.0,
    };
    call.words(if singular { 1 } else { 2 }).map(Value::from)
}

/// `{{list names}}`: “a, b and c”.
pub(super) fn list(call: &Call<'_, '_>) -> Words {
    let Value::Array(items) = call.argument(0)? else {
        return Err(call.fault("needs a list"));
    };
    let mut words = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::String(word) => words.push(word.clone()),
            Value::Number(number) => words.push(number.to_string()),
            _ => return Err(call.fault("needs a list of words or numbers")),
        }
    }
    let last = words.pop().unwrap_or_default();
    if words.is_empty() {
        return Ok(last.into());
    }
    let joint = call.label("format.list_last", Map::new())?;
    Ok(format!("{}{joint}{last}", words.join(", ")).into())
}

/// `{{number n}}`: digits in groups of three, the language's marks, at most two decimals, four where two say nothing.
pub(super) fn number(call: &Call<'_, '_>) -> Words {
    let value = call.argument(0)?.as_f64().ok_or_else(|| call.fault("needs a number"))?;
    let places = if value != 0.0 && value.abs() < 0.01 { 4 } else { 2 };
    let fixed = format!("{:.places$}", value.abs());
    let (whole, decimals) = fixed.split_once('.').unwrap_or((fixed.as_str(), ""));
    let decimals = decimals.trim_end_matches('0');
    let grouped = grouped(whole, &call.label("format.thousands", Map::new())?);
    let sign = if value < 0.0 { "−" } else { "" };
    let mark = call.label("format.decimals", Map::new())?;
    Ok(if decimals.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}{mark}{decimals}") }.into())
}

fn grouped(digits: &str, separator: &str) -> String {
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push_str(separator);
        }
        out.push(digit);
    }
    out
}
