//! The helpers that templates may call. Two kinds:
//!
//! - **text** helpers give a value, which is then escaped like any variable;
//! - **markup** helpers write Slack markup themselves (`<!date^…>`, `<@U…>`, `<https…|…>`), escape what
//!   they were given, and give plain words where the reader is not in Slack.
//!
//! A variable cannot have a helper's name: `{{duration}}` would call the helper.
//! No helper holds a word of any language: words are labels.

mod markup;
mod text;
mod time;

use std::sync::Arc;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError, RenderErrorReason,
    ScopedJson,
};
use serde_json::{Map, Value};

use super::{Locale, Templates, escape};

/// Who reads what comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Slack mrkdwn: `&`, `<` and `>` in variables are escaped.
    Slack,
    /// A Markdown document: what would act in it is escaped in variables.
    Markdown,
    /// E-mail, SMS, speech: nothing is escaped.
    Plain,
}

/// Language and dialect of one set of compiled templates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub locale: Locale,
    pub dialect: Dialect,
}

type TextHelper = fn(&Call<'_, '_>) -> Result<Value, RenderErrorReason>;
type MarkupHelper = fn(&Call<'_, '_>) -> Result<String, RenderErrorReason>;

const TEXT: [(&str, TextHelper); 9] = [
    ("cell", text::cell),
    ("default", text::default),
    ("duration", time::duration),
    ("list", text::list),
    ("number", text::number),
    ("oneline", text::oneline),
    ("plural", text::plural),
    ("truncate", text::truncate),
    ("upper", text::upper),
];

const MARKUP: [(&str, MarkupHelper); 9] = [
    ("anchor", markup::anchor),
    ("bold", markup::bold),
    ("date", time::date),
    ("datetime", time::datetime),
    ("label", markup::label),
    ("people", markup::people),
    ("person", markup::person),
    ("slackdate", time::slackdate),
    ("time", time::time),
];

/// Every helper's name; no variable may be called like one of them.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    const BUILT_IN: [&str; 17] = [
        "if", "unless", "each", "with", "lookup", "raw", "log", "eq", "ne", "gt", "gte", "lt", "lte", "and", "or",
        "not", "len",
    ];
    let text = TEXT.iter().map(|(name, _)| *name);
    let markup = MARKUP.iter().map(|(name, _)| *name);
    text.chain(markup).chain(BUILT_IN)
}

/// Makes every helper known to `registry`, speaking in `style`, with the labels of `templates`.
pub(super) fn register(registry: &mut Handlebars<'static>, style: Style, templates: &Arc<Templates>) {
    for (name, run) in TEXT {
        let templates = Arc::clone(templates);
        registry.register_helper(name, Box::new(AsText { style, templates, run }));
    }
    for (name, run) in MARKUP {
        let templates = Arc::clone(templates);
        registry.register_helper(name, Box::new(AsMarkup { style, templates, run }));
    }
}

struct AsText {
    style: Style,
    templates: Arc<Templates>,
    run: TextHelper,
}

impl HelperDef for AsText {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let call = Call { helper, registry, context, style: self.style, templates: &self.templates };
        Ok(ScopedJson::Derived((self.run)(&call)?))
    }
}

struct AsMarkup {
    style: Style,
    templates: Arc<Templates>,
    run: MarkupHelper,
}

impl HelperDef for AsMarkup {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let call = Call { helper, registry, context, style: self.style, templates: &self.templates };
        out.write(&(self.run)(&call)?)?;
        Ok(())
    }
}

/// One call of a helper: its arguments and what surrounds it.
struct Call<'a, 'rc> {
    helper: &'a Helper<'rc>,
    registry: &'a Handlebars<'a>,
    context: &'a Context,
    style: Style,
    templates: &'a Templates,
}

impl Call<'_, '_> {
    fn fault(&self, what: &str) -> RenderErrorReason {
        RenderErrorReason::Other(format!("{} {what}", self.helper.name()))
    }

    /// The argument at `index`; a variable that does not exist is a fault, as everywhere in strict mode.
    fn argument(&self, index: usize) -> Result<&Value, RenderErrorReason> {
        let argument =
            self.helper.param(index).ok_or_else(|| self.fault(&format!("needs an argument number {}", index + 1)))?;
        if argument.is_value_missing() {
            let name = argument.relative_path().cloned();
            return Err(RenderErrorReason::MissingVariable(name));
        }
        Ok(argument.value())
    }

    /// The argument at `index` as words; null is no words.
    fn words(&self, index: usize) -> Result<String, RenderErrorReason> {
        match self.argument(index)? {
            Value::String(text) => Ok(text.clone()),
            Value::Null => Ok(String::new()),
            Value::Array(_) | Value::Object(_) => Err(self.fault("needs text, and was given a list or an object")),
            other => Ok(other.to_string()),
        }
    }

    /// The argument at `index` as a whole number (instants and durations in milliseconds, counts).
    fn whole(&self, index: usize) -> Result<i64, RenderErrorReason> {
        let value = self.argument(index)?;
        value.as_i64().ok_or_else(|| self.fault(&format!("needs a whole number, and was given {value}")))
    }

    /// A named argument such as `zone=false`.
    fn option(&self, name: &str) -> Option<&Value> {
        self.helper.hash_get(name).filter(|value| !value.is_value_missing()).map(handlebars::PathAndJson::value)
    }

    /// A variable of the whole message, e.g. `tz`.
    fn root(&self, name: &str) -> Option<&Value> {
        self.context.data().get(name)
    }

    /// The label `key`, filled in with `variables` only.
    fn label(&self, key: &str, variables: Map<String, Value>) -> Result<String, RenderErrorReason> {
        self.templates.label(key, self.registry, variables).map_err(RenderErrorReason::Other)
    }

    fn has_label(&self, key: &str) -> bool {
        self.templates.labels.contains_key(key)
    }

    /// `text` made safe for the reader's dialect.
    fn safe(&self, text: &str) -> String {
        match self.style.dialect {
            Dialect::Slack => escape::slack(text),
            Dialect::Markdown => escape::markdown(text),
            Dialect::Plain => text.to_owned(),
        }
    }
}
