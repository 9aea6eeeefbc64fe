//! `${NAME}` and `${NAME:-default}` in the file, filled in from the environment.

/// Where variables come from.
pub(super) struct Variables<'v> {
    lookup: &'v dyn Fn(&str) -> Option<String>,
}

impl<'v> Variables<'v> {
    /// Looks every name up with this function.
    pub fn new(lookup: &'v dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }
}

/// Why a text could not be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub cure: String,
}

/// The text with its variables filled in. `$${` stands for a literal `${`; a `$` before anything else is a letter.
pub(super) fn expanded(text: &str, variables: &Variables<'_>) -> Result<String, Trouble> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        out.push_str(before);
        let Some(end) = from.find('}') else {
            return Err(Trouble {
                what: "a variable is not closed".into(),
                cure: "write ${NAME}, or $${ for the characters themselves".into(),
            });
        };
        let inside = from.get(2..end).unwrap_or_default();
        out.push_str(&value_of(inside, variables)?);
        rest = from.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

fn value_of(inside: &str, variables: &Variables<'_>) -> Result<String, Trouble> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !first || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Trouble {
            what: format!("“${{{inside}}}” does not name a variable"),
            cure: "write ${NAME} or ${NAME:-default}, or $${ for the characters themselves".into(),
        });
    }
    let set = (variables.lookup)(name).filter(|value| !value.is_empty());
    set.or_else(|| default.map(str::to_owned)).ok_or_else(|| Trouble {
        what: format!("the variable {name} is not set"),
        cure: format!("set {name} in the environment, or write ${{{name}:-default}}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "HOST" => Some("mail.example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        expanded(text, &Variables::new(&lookup)).map_err(|trouble| trouble.what)
    }

    #[test]
    fn variables_are_filled_in_with_their_defaults() {
        assert_eq!(expand("smtp://${HOST}:${PORT:-25}/").as_deref(), Ok("smtp://mail.example.com:25/"));
        assert_eq!(expand("${EMPTY:-x}").as_deref(), Ok("x"));
        assert_eq!(expand("5 $ and $${HOST} and ${HOST}").as_deref(), Ok("5 $ and ${HOST} and mail.example.com"));
    }

    #[test]
    fn a_variable_that_is_not_set_or_not_named_is_refused() {
        assert_eq!(expand("${PORT}").unwrap_err(), "the variable PORT is not set");
        assert_eq!(expand("${EMPTY}").unwrap_err(), "the variable EMPTY is not set");
        assert_eq!(expand("${a-b}").unwrap_err(), "“${a-b}” does not name a variable");
        assert_eq!(expand("a ${HOST").unwrap_err(), "a variable is not closed");
    }
}
