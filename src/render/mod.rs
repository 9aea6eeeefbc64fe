//! Text that a person reads: templates in two languages, proved before anybody reads them, filled in strictly.
//!
//! A message is a file `templates/<locale>/<name>.hbs`; a short string (button, state, unit, refusal) is a
//! line of `templates/<locale>/labels.yaml`, itself a small template. `templates/samples.yaml` says for
//! each what it is for and which variables it has. A team lays its own directory over the shipped one, file by file
//! and label by label; what of that reads anything else is refused when it is loaded. What ships is held to the same by
//! this room's tests: to do it at each start would take longer than all else there.
//!
//! This room never reads the clock, sends nothing, and knows nothing of incidents: variables come in,
//! text goes out. What goes to Slack or into a document is escaped, without exception.

mod escape;
mod fault;
mod files;
mod helpers;
mod locale;
mod proof;
mod samples;
mod variables;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod helper_promises;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use handlebars::{Context, Handlebars, RenderContext, RenderError, Renderable, StringOutput, Template, TemplateError};
use serde::Serialize;
use serde_json::{Map, Value};

pub use escape::slack as escape_slack;
pub use fault::{RenderFault, TemplateFault};
pub use locale::{Locale, UnknownLocale};

use fault::did_you_mean;
use files::LocaleFiles;
use helpers::{Dialect, Style};

const LABEL_PREFIX: &str = "label/";

/// The longest text of one Slack section block (Slack's page “Section block”).
pub const SLACK_SECTION_MAX: usize = 3000;
/// The longest text of a Slack button (Slack's page “Button element”).
pub const SLACK_BUTTON_MAX: usize = 75;

/// Every template of every locale.
pub struct Renderer {
    books: BTreeMap<Locale, Book>,
}

/// How a Markdown document's name ends.
const DOCUMENT: &str = ".md";

/// One locale's templates, and for each dialect the helpers and the escape that fill them in.
struct Book {
    templates: Arc<Templates>,
    slack: Handlebars<'static>,
    markdown: Handlebars<'static>,
    plain: Handlebars<'static>,
}

/// A locale's messages and labels by name. A registry of Handlebars would keep them once more for each dialect.
#[derive(Default)]
struct Templates {
    messages: BTreeMap<String, Text>,
    labels: BTreeMap<String, Text>,
}

/// A template that was proved, and is compiled when it is first needed: there are thousands of them, a team reads one
/// language and an idle bot says nothing, and compiled they take ten times the room.
struct Text {
    name: String,
    source: Box<str>,
    compiled: OnceLock<Box<Template>>,
}

impl Text {
    fn of(name: String, source: String) -> Self {
        Self { name, source: source.into(), compiled: OnceLock::new() }
    }

    fn template(&self) -> Result<&Template, String> {
        if let Some(template) = self.compiled.get() {
            return Ok(template);
        }
        let template = compile(&self.name, &self.source).map_err(|fault| fault.to_string())?;
        Ok(self.compiled.get_or_init(|| Box::new(template)))
    }
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}

impl Renderer {
    /// The shipped templates, with those of `overrides` in place of the shipped ones.
    ///
    /// # Errors
    /// [`RenderFault::Load`] with every fault found in the overrides: a file that cannot be read or has a name Vigie does
    /// not know, a syntax error, a variable that the message does not have, text that would go out
    /// unescaped.
    pub fn load(overrides: Option<&Path>) -> Result<Self, RenderFault> {
        let mut faults = Vec::new();
        let files = files::load(overrides, &mut faults);
        faults.extend(proof::faults(&files, |source| !source.is_shipped));
        if !faults.is_empty() {
            return Err(RenderFault::Load(faults));
        }
        Ok(Self { books: files.into_iter().map(|(locale, files)| (locale, Book::of(locale, files))).collect() })
    }

    /// The message `name` for Slack: `&`, `<` and `>` in variables are escaped.
    ///
    /// # Errors
    /// [`RenderFault::NoSuchTemplate`], or [`RenderFault::Fill`] when a variable is missing or of the wrong
    /// kind.
    pub fn slack(&self, locale: Locale, name: &str, variables: &impl Serialize) -> Result<String, RenderFault> {
        self.message(locale, Dialect::Slack, name, variables)
    }

    /// The message `name` for e-mail, SMS or speech, where nothing is escaped; a document (its name ends in `.md`) as
    /// Markdown in which what people wrote cannot act.
    ///
    /// # Errors
    /// As [`Renderer::slack`].
    pub fn plain(&self, locale: Locale, name: &str, variables: &impl Serialize) -> Result<String, RenderFault> {
        let dialect = if name.ends_with(DOCUMENT) { Dialect::Markdown } else { Dialect::Plain };
        self.message(locale, dialect, name, variables)
    }

    /// The label `key` for Slack. Give `&()` where it has no variables. A variable may be a sentence itself, as the core
    /// gives it: an object with the `key` of a label and its `vars`, or a list of such.
    ///
    /// # Errors
    /// [`RenderFault::NoSuchLabel`], or [`RenderFault::Fill`].
    pub fn label(&self, locale: Locale, key: &str, variables: &impl Serialize) -> Result<String, RenderFault> {
        self.short(locale, Dialect::Slack, key, variables)
    }

    /// The label `key` for plain text (and for Slack's `plain_text` objects, which take no markup).
    ///
    /// # Errors
    /// As [`Renderer::label`].
    pub fn label_plain(&self, locale: Locale, key: &str, variables: &impl Serialize) -> Result<String, RenderFault> {
        self.short(locale, Dialect::Plain, key, variables)
    }

    /// Whether there is a message of this name (e.g. a post-mortem layout that a team names).
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.books.values().all(|book| book.templates.messages.contains_key(name))
    }

    /// Whether there is a label of this key.
    #[must_use]
    pub fn has_label(&self, key: &str) -> bool {
        self.books.values().all(|book| book.templates.labels.contains_key(key))
    }

    /// Every message's name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let first = self.books.values().next();
        first.into_iter().flat_map(|book| book.templates.messages.keys().map(String::as_str))
    }

    /// The shipped files that a team may copy and edit, as (`<locale>/<file>`, text).
    #[must_use]
    pub fn shipped_files() -> Vec<(String, String)> {
        files::shipped_text()
    }

    fn message(
        &self,
        locale: Locale,
        dialect: Dialect,
        name: &str,
        variables: &impl Serialize,
    ) -> Result<String, RenderFault> {
        let book = self.books.get(&locale);
        let Some((book, text)) = book.and_then(|book| Some((book, book.templates.messages.get(name)?))) else {
            return Err(RenderFault::NoSuchTemplate {
                name: name.to_owned(),
                locale,
                hint: did_you_mean(name, self.names()),
            });
        };
        let text = book.fill(dialect, text, variables);
        text.map(|text| text.trim().to_owned()).map_err(|why| RenderFault::Fill { name: name.to_owned(), locale, why })
    }

    fn short(
        &self,
        locale: Locale,
        dialect: Dialect,
        key: &str,
        variables: &impl Serialize,
    ) -> Result<String, RenderFault> {
        let book = self.books.get(&locale);
        let Some((book, text)) = book.and_then(|book| Some((book, book.templates.labels.get(key)?))) else {
            let keys = book.into_iter().flat_map(|book| book.templates.labels.keys());
            return Err(RenderFault::NoSuchLabel {
                key: key.to_owned(),
                locale,
                hint: did_you_mean(key, keys.map(String::as_str)),
            });
        };
        let text = book.fill(dialect, text, variables);
        text.map_err(|why| RenderFault::Fill { name: format!("{LABEL_PREFIX}{key}"), locale, why })
    }
}

/// What a sentence within a sentence is made of.
const SENTENCE: [&str; 2] = ["key", "vars"];

impl Book {
    fn of(locale: Locale, files: LocaleFiles) -> Self {
        let messages = files.messages.into_iter().map(|(name, source)| {
            let text = Text::of(name.clone(), source.text);
            (name, text)
        });
        let labels = files.labels.into_iter().map(|(key, source)| {
            let text = Text::of(format!("{LABEL_PREFIX}{key}"), source.text);
            (key, text)
        });
        let templates = Arc::new(Templates { messages: messages.collect(), labels: labels.collect() });
        let speaking = |dialect| registry(Style { locale, dialect }, &templates);
        let (slack, markdown, plain) =
            (speaking(Dialect::Slack), speaking(Dialect::Markdown), speaking(Dialect::Plain));
        Self { templates, slack, markdown, plain }
    }

    fn fill(&self, dialect: Dialect, text: &Text, variables: &impl Serialize) -> Result<String, String> {
        let registry = match dialect {
            Dialect::Slack => &self.slack,
            Dialect::Markdown => &self.markdown,
            Dialect::Plain => &self.plain,
        };
        let mut variables = serde_json::to_value(variables).map_err(|cause| cause.to_string())?;
        let zone = variables.get("tz").cloned();
        if let Some(fields) = variables.as_object_mut() {
            fields.values_mut().for_each(|value| self.say_within(value, zone.as_ref()));
        }
        fill(registry, text.template()?, variables).map_err(|cause| cause.to_string())
    }

    /// Says the sentences within a variable. One that cannot be said (its label is of another version) is shown by its
    /// key: it must not take the whole message with it.
    fn say_within(&self, value: &mut Value, zone: Option<&Value>) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.say_within(item, zone)),
            Value::Object(fields) => {
                let key = fields.get("key").and_then(Value::as_str).filter(|key| key.contains('.'));
                let Some(key) = key.filter(|_| fields.keys().all(|name| SENTENCE.contains(&name.as_str()))) else {
                    return fields.values_mut().for_each(|field| self.say_within(field, zone));
                };
                let mut vars = fields.get("vars").and_then(Value::as_object).cloned().unwrap_or_default();
                vars.values_mut().for_each(|value| self.say_within(value, zone));
                vars.extend(zone.map(|zone| ("tz".to_owned(), zone.clone())));
                let said = self.templates.label(key, &self.plain, vars);
                *value = Value::String(said.unwrap_or_else(|cause| {
                    tracing::error!(key, cause, "a sentence cannot be said");
                    key.to_owned()
                }));
            }
            _ => {}
        }
    }
}

impl Templates {
    /// The label `key`, filled in by `registry` with `variables` only.
    fn label(&self, key: &str, registry: &Handlebars<'_>, variables: Map<String, Value>) -> Result<String, String> {
        let text = self.labels.get(key).ok_or_else(|| format!("there is no label {key}"))?;
        fill(registry, text.template()?, Value::Object(variables)).map_err(|cause| cause.to_string())
    }
}

/// `template` with `variables`, as the helpers and the escape of `registry` make it.
fn fill(registry: &Handlebars<'_>, template: &Template, variables: Value) -> Result<String, RenderError> {
    let variables = Context::from(variables);
    let mut text = StringOutput::new();
    let mut state = RenderContext::new(template.name.as_ref());
    template.render(registry, &variables, &mut state, &mut text)?;
    Ok(text.into_string()?)
}

fn compile(name: &str, source: &str) -> Result<Template, TemplateError> {
    let mut template = Template::compile(source)?;
    // Named so that a fault while filling in says which template it was.
    template.name = Some(name.to_owned());
    // Most have one element where the compiler leaves room for four.
    template.elements.shrink_to_fit();
    template.mapping.shrink_to_fit();
    Ok(template)
}

/// What fills templates in for one dialect. It holds no template itself.
fn registry(style: Style, templates: &Arc<Templates>) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    match style.dialect {
        Dialect::Slack => registry.register_escape_fn(escape::slack),
        Dialect::Markdown => registry.register_escape_fn(escape::markdown),
        Dialect::Plain => registry.register_escape_fn(handlebars::no_escape),
    }
    helpers::register(&mut registry, style, templates);
    registry
}
