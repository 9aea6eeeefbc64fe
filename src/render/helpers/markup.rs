//! Helpers that write Slack markup, or plain words outside Slack.

use handlebars::RenderErrorReason;
use serde_json::{Map, Value};

use super::text::one_line;
use super::{Call, Dialect};
use crate::render::escape;

type Markup = Result<String, RenderErrorReason>;

/// `{{bold text}}`: stands out in Slack, plain elsewhere.
pub(super) fn bold(call: &Call<'_, '_>) -> Markup {
    let text = one_line(&call.words(0)?);
    Ok(match call.style.dialect {
        Dialect::Slack if !text.is_empty() => format!("*{}*", escape::slack(&text)),
        _ => call.safe(&text),
    })
}

/// `{{anchor address text}}`: a link with a name.
pub(super) fn anchor(call: &Call<'_, '_>) -> Markup {
    let address = call.words(0)?;
    let text = one_line(&call.words(1)?);
    Ok(match call.style.dialect {
        Dialect::Plain | Dialect::Markdown => spelt_out(call, text, address)?,
        Dialect::Slack => match escape::slack_address(&address) {
            Some(address) => format!("<{address}|{}>", escape::slack(&text)),
            None => spelt_out(call, text, address)?,
        },
    })
}

fn spelt_out(call: &Call<'_, '_>, text: String, address: String) -> Markup {
    let variables = Map::from_iter([("name".to_owned(), text.into()), ("address".to_owned(), address.into())]);
    call.label("format.link", variables)
}

/// `{{person somebody}}`: a Slack mention where the person has a Slack id, the name elsewhere.
/// `somebody` is `{id, name}` (either may be null) or a bare name.
pub(super) fn person(call: &Call<'_, '_>) -> Markup {
    one_person(call, call.argument(0)?)
}

/// `{{people several}}`: a list of persons, read like a sentence.
pub(super) fn people(call: &Call<'_, '_>) -> Markup {
    let Value::Array(several) = call.argument(0)? else {
        return Err(call.fault("needs a list of persons"));
    };
    let mut names = Vec::with_capacity(several.len());
    for somebody in several {
        names.push(one_person(call, somebody)?);
    }
    let last = names.pop().unwrap_or_default();
    if names.is_empty() {
        return Ok(last);
    }
    let joint = call.label("format.list_last", Map::new())?;
    Ok(format!("{}{joint}{last}", names.join(", ")))
}

fn one_person(call: &Call<'_, '_>, somebody: &Value) -> Markup {
    let field = |name: &str| somebody.get(name).and_then(Value::as_str);
    let id = field("id").filter(|id| is_slack_id(id));
    let name = somebody.as_str().or_else(|| field("name")).or(id);
    if let (Dialect::Slack, Some(group)) = (call.style.dialect, field("group").filter(|group| is_group_id(group))) {
        return Ok(format!("<!subteam^{group}>"));
    }
    match (call.style.dialect, id, name) {
        (Dialect::Slack, Some(id), _) => Ok(format!("<@{id}>")),
        (_, _, Some(name)) => Ok(call.safe(&one_line(name))),
        (_, _, None) => Err(call.fault("needs somebody with an id or a name")),
    }
}

/// Slack's ids of user groups: `S`, then capitals and digits.
fn is_group_id(text: &str) -> bool {
    text.starts_with('S') && text.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
}

/// Slack's user ids: `U` or `W`, then capitals and digits.
fn is_slack_id(text: &str) -> bool {
    text.starts_with(['U', 'W']) && text.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
}

/// `{{label "status" status}}`: the label whose key is the arguments joined by dots. It sees the
/// message's variables, and the named arguments before them.
pub(super) fn label(call: &Call<'_, '_>) -> Markup {
    let mut parts = Vec::new();
    for index in 0..call.helper.params().len() {
        parts.push(call.words(index)?);
    }
    let key = parts.join(".");
    if !call.has_label(&key) {
        return Err(call.fault(&format!("knows no label “{key}”")));
    }
    let mut variables = match call.context.data() {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    for (name, value) in call.helper.hash() {
        variables.insert((*name).to_owned(), value.value().clone());
    }
    call.label(&key, variables)
}
