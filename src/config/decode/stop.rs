//! Why reading stopped, and where.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::super::fault::Place;
use super::super::near;
use super::super::node::{Node, Value};

/// The value at which reading stopped.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub id: usize,
    pub place: Place,
    pub path: String,
}

impl Spot {
    pub fn of(node: &Node) -> Self {
        Self { id: node.id, place: node.place, path: node.path.clone() }
    }
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Something to be put right.
    Fault { what: String, cure: String },
    /// A required key is missing in a structure.
    Missing(&'static str),
    /// The fault is noted already; the value has only to be left out.
    LeaveOut,
    /// Something was learned; read once more.
    Again,
}

/// Serde's error for this reader.
#[derive(Debug)]
pub(super) struct Stop {
    pub kind: Kind,
    pub at: Option<Spot>,
}

impl Stop {
    pub fn fault(what: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { kind: Kind::Fault { what: what.into(), cure: cure.into() }, at: None }
    }

    pub fn again() -> Self {
        Self { kind: Kind::Again, at: None }
    }

    pub fn leave_out(node: &Node) -> Self {
        Self { kind: Kind::LeaveOut, at: Some(Spot::of(node)) }
    }

    /// Says where it happened, unless something further inside said so already. What came from the environment is
    /// shown as it is written in the file, never as it is.
    pub fn at(mut self, node: &Node) -> Self {
        if self.at.is_none() {
            self.at = Some(Spot::of(node));
            if let (Kind::Fault { what, .. }, Value::Text(text)) = (&mut self.kind, &node.value)
                && text.text != text.written
                && !text.text.is_empty()
            {
                *what = what.replace(&text.text, &text.written);
            }
        }
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Fault { what, cure } => write!(f, "{what} · {cure}"),
            Kind::Missing(field) => write!(f, "“{field}” is missing"),
            Kind::LeaveOut | Kind::Again => f.write_str("noted already"),
        }
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    /// A message of the form `what · cure` is split; any other is what is wrong.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.split_once(" · ") {
            Some((what, cure)) => Self::fault(what, cure),
            None => Self::fault(message, "look it up in examples/reference.yml"),
        }
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::fault(format!("{} stands where {expected} belongs", said(found)), format!("write {expected}"))
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::fault(format!("{} is not {expected}", said(found)), format!("write {expected}"))
    }
    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::fault(format!("{length} stand here where {expected} belongs"), format!("write {expected}"))
    }
    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::fault(format!("“{variant}” is not known here"), near::cure(variant, expected.iter().copied()))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::fault(format!("there is no key “{field}” here"), near::cure(field, expected.iter().copied()))
    }
    fn missing_field(field: &'static str) -> Self {
        Self { kind: Kind::Missing(field), at: None }
    }
    fn duplicate_field(field: &'static str) -> Self {
        Self::fault(format!("“{field}” stands here a second time"), "keep one of the two")
    }
}

fn said(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("“{value}”"),
        Unexpected::Unsigned(value) => format!("“{value}”"),
        Unexpected::Signed(value) => format!("“{value}”"),
        Unexpected::Float(value) => format!("“{value}”"),
        Unexpected::Str(text) => format!("“{text}”"),
        Unexpected::Char(letter) => format!("“{letter}”"),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map | Unexpected::StructVariant | Unexpected::NewtypeStruct => "a block of keys".into(),
        Unexpected::Bytes(_)
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::Other(_) => "something else".into(),
    }
}
