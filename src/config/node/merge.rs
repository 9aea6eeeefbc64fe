//! Several files as one: each section may be spread over them, each name stands in one of them.

use super::{Node, Value};
use crate::config::fault::Findings;

/// One tree of all; the first of two that bear the same name stands, and the second is noted.
pub(super) fn merged(trees: Vec<Node>, findings: &mut Findings<'_>) -> Option<Node> {
    let several = trees.len() > 1;
    let mut whole: Option<Node> = None;
    for tree in trees {
        if several && !has_sections(&tree, findings) {
            continue;
        }
        match &mut whole {
            Some(whole) => add(whole, tree, 2, findings),
            None => whole = Some(tree),
        }
    }
    whole
}

fn has_sections(tree: &Node, findings: &mut Findings<'_>) -> bool {
    if !matches!(tree.value, Value::Map(_) | Value::Empty) {
        let cure = "write “contacts:”, “services:” … at its left edge";
        findings.fault(Some(tree.place), "the file holds no sections", cure);
    }
    matches!(tree.value, Value::Map(_))
}

/// Adds `more` to `whole`, going `depth` keys down: sections, then what has a name in them.
fn add(whole: &mut Node, more: Node, depth: u8, findings: &mut Findings<'_>) {
    match (&mut whole.value, more.value) {
        (_, Value::Empty) => {}
        (empty @ Value::Empty, value) => *empty = value,
        (Value::Map(entries), Value::Map(others)) if depth > 0 => {
            for (key, node) in others {
                match entries.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => add(known, node, depth - 1, findings),
                    None => entries.push((key, node)),
                }
            }
        }
        (Value::List(items), Value::List(others)) if depth == 1 => {
            for mut item in others {
                let path = format!("{}[{}]", whole.path, items.len());
                rename(&mut item, &path);
                items.push(item);
            }
        }
        _ => {
            let key = whole.path.rsplit('.').next().unwrap_or(&whole.path);
            let what = format!("“{key}” stands here a second time");
            let (first, second) = (whole.key_place, more.key_place);
            findings.twice(what, first, second, "keep one of the two");
        }
    }
}

/// Gives a value, and what stands below it, the path of its new place.
fn rename(node: &mut Node, path: &str) {
    match &mut node.value {
        Value::List(items) => {
            for (number, item) in items.iter_mut().enumerate() {
                rename(item, &format!("{path}[{number}]"));
            }
        }
        Value::Map(entries) => {
            for (key, below) in entries {
                rename(below, &format!("{path}.{key}"));
            }
        }
        Value::Empty | Value::Text(_) | Value::Broken => {}
    }
    path.clone_into(&mut node.path);
}
