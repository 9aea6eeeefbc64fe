//! Which variables a template reads, found by walking its syntax tree.
//!
//! Used to hold every template to the variables that `templates/samples.yaml` documents, so that a
//! misspelt name is found when the file is loaded and not at three in the morning.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::Path;
use handlebars::template::{BlockParam, HelperTemplate, Parameter, Template, TemplateElement};
use serde_json::Value;

/// The variables of a template as dotted paths from the root; a list's items are `name[]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reads {
    pub variables: BTreeSet<String>,
    /// `{{{x}}}` and `{{&x}}`: these would let untrusted text through unescaped.
    pub unescaped: BTreeSet<String>,
}

/// Everything `template` reads.
pub(super) fn of_template(template: &Template) -> Reads {
    let mut walk = Walk::default();
    walk.template(template);
    walk.reads
}

/// Every path that exists in a sample, in the same spelling as [`Reads::variables`].
pub(super) fn of_sample(sample: &Value) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    sample_paths(sample, String::new(), &mut paths);
    paths
}

fn sample_paths(value: &Value, prefix: String, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = join(&prefix, name);
                paths.insert(path.clone());
                sample_paths(field, path, paths);
            }
        }
        Value::Array(items) => {
            let path = format!("{prefix}[]");
            paths.insert(path.clone());
            for item in items {
                sample_paths(item, path.clone(), paths);
            }
        }
        _ => {}
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// Where the walk stands: the path that `this` means, and the names given by `as |x|`.
#[derive(Debug, Clone, Default)]
struct Scope {
    here: String,
    names: BTreeMap<String, String>,
}

#[derive(Default)]
struct Walk {
    scopes: Vec<Scope>,
    reads: Reads,
}

impl Walk {
    fn template(&mut self, template: &Template) {
        for element in &template.elements {
            self.element(element);
        }
    }

    fn element(&mut self, element: &TemplateElement) {
        match element {
            TemplateElement::Expression(call) | TemplateElement::HelperBlock(call) => {
                self.call(call);
            }
            TemplateElement::HtmlExpression(call) => {
                if let Some(name) = call.name.as_name() {
                    self.reads.unescaped.insert(name.to_owned());
                }
                self.call(call);
            }
            TemplateElement::DecoratorExpression(part)
            | TemplateElement::DecoratorBlock(part)
            | TemplateElement::PartialExpression(part)
            | TemplateElement::PartialBlock(part) => {
                self.parameters(&part.params, part.hash.values());
                if let Some(inner) = &part.template {
                    self.template(inner);
                }
            }
            // Text and comments read nothing.
            _ => {}
        }
    }

    fn call(&mut self, call: &HelperTemplate) {
        let bare = !call.block && call.params.is_empty() && call.hash.is_empty();
        if bare {
            self.parameter(&call.name);
            return;
        }
        self.parameters(&call.params, call.hash.values());
        let inner = self.inner_scope(call);
        let pushed = inner.is_some();
        self.scopes.extend(inner);
        if let Some(body) = &call.template {
            self.template(body);
        }
        if pushed {
            self.scopes.pop();
        }
        if let Some(otherwise) = &call.inverse {
            self.template(otherwise);
        }
    }

    /// The scope that `each` and `with` open; `if` and the like open none.
    fn inner_scope(&self, call: &HelperTemplate) -> Option<Scope> {
        let items = match call.name.as_name() {
            Some("each") => true,
            Some("with") => false,
            _ => return None,
        };
        let subject = match call.params.first() {
            Some(Parameter::Path(path)) => self.resolve(path)?,
            _ => return None,
        };
        let here = if items { format!("{subject}[]") } else { subject };
        let mut names = self.scope().names;
        if let Some(BlockParam::Single(name) | BlockParam::Pair((name, _))) = &call.block_param
            && let Some(name) = name.as_name()
        {
            names.insert(name.to_owned(), here.clone());
        }
        Some(Scope { here, names })
    }

    fn parameters<'a>(&mut self, positional: &'a [Parameter], named: impl Iterator<Item = &'a Parameter>) {
        for parameter in positional.iter().chain(named) {
            self.parameter(parameter);
        }
    }

    fn parameter(&mut self, parameter: &Parameter) {
        match parameter {
            Parameter::Path(path) => {
                if let Some(variable) = self.resolve(path).filter(|path| !path.is_empty()) {
                    self.reads.variables.insert(variable);
                }
            }
            Parameter::Name(name) => {
                self.reads.variables.insert(self.resolve_raw(name));
            }
            Parameter::Subexpression(inner) => self.element(inner.as_element()),
            // Literals read nothing.
            _ => {}
        }
    }

    /// The path from the root; `None` for loop locals such as `@index`.
    fn resolve(&self, path: &Path) -> Option<String> {
        match path {
            Path::Relative((_, raw)) => Some(self.resolve_raw(raw)),
            Path::Local(_) => None,
        }
    }

    fn resolve_raw(&self, raw: &str) -> String {
        if let Some(rest) = raw.strip_prefix("@root") {
            return rest.trim_start_matches(['.', '/']).replace('/', ".");
        }
        let mut rest = raw;
        let mut up = 0;
        while let Some(next) = rest.strip_prefix("../") {
            rest = next;
            up += 1;
        }
        let scope = self.scope_above(up);
        let rest = rest.trim_start_matches("./").replace('/', ".");
        let rest = rest.strip_prefix("this").map_or(rest.as_str(), |after| after.strip_prefix('.').unwrap_or(after));
        if rest.is_empty() {
            return scope.here;
        }
        let (first, tail) = rest.split_once('.').unwrap_or((rest, ""));
        match scope.names.get(first) {
            Some(meaning) if tail.is_empty() => meaning.clone(),
            Some(meaning) => join(meaning, tail),
            None => join(&scope.here, rest),
        }
    }

    fn scope(&self) -> Scope {
        self.scope_above(0)
    }

    fn scope_above(&self, up: usize) -> Scope {
        let depth = self.scopes.len().saturating_sub(up);
        depth.checked_sub(1).and_then(|index| self.scopes.get(index)).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> Vec<String> {
        let template = Template::compile(text).unwrap();
        of_template(&template).variables.into_iter().collect()
    }

    #[test]
    fn variables_are_found_in_text_conditions_and_arguments() {
        assert_eq!(
            reads("{{a}} {{#if b}}{{upper c}}{{else}}{{d.e}}{{/if}} {{x y=(upper f)}} {{len \"g\"}}"),
            ["a", "b", "c", "d.e", "f"]
        );
    }

    #[test]
    fn a_list_s_items_are_named_after_the_list() {
        assert_eq!(
            reads("{{#each runs}}{{title}}{{../tz}}{{@index}}{{@root.now}}{{this.by}}{{/each}}"),
            ["now", "runs", "runs[].by", "runs[].title", "tz"]
        );
        assert_eq!(reads("{{#each runs as |run|}}{{run.title}}{{/each}}"), ["runs", "runs[].title"]);
        assert_eq!(reads("{{#each names}}{{this}}{{/each}}"), ["names", "names[]"]);
    }

    #[test]
    fn text_that_would_go_out_unescaped_is_noticed() {
        let template = Template::compile("{{{title}}}").unwrap();
        assert!(of_template(&template).unescaped.contains("title"));
    }

    #[test]
    fn a_sample_has_the_same_spelling() {
        let sample = serde_json::json!({"a": {"b": 1}, "runs": [{"title": "x"}]});
        let paths: Vec<String> = of_sample(&sample).into_iter().collect();
        assert_eq!(paths, ["a", "a.b", "runs", "runs[]", "runs[].title"]);
    }
}
