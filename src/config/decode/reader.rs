//! One value of the tree, offered to Serde.

use serde::de::{Deserializer, Error as _, Visitor};

use super::access::{Choice, Fields, Items, Located, NoFields, NoItems};
use super::stop::{Kind, Stop};
use super::{State, WITH_PLACE, WORD};
use crate::config::node::{Node, Text, Value};

/// What a [`Reader`] stands on.
#[derive(Clone, Copy)]
pub(super) enum Source<'n> {
    /// A value of the file.
    Node(&'n Node),
    /// A required value that is missing in this node: anything is given so that the rest of the node can be read.
    Missing(&'n Node),
}

/// Offers one value to Serde.
#[derive(Clone, Copy)]
pub(super) struct Reader<'n, 's> {
    pub source: Source<'n>,
    pub state: &'s State,
}

impl<'n, 's> Reader<'n, 's> {
    pub fn new(node: &'n Node, state: &'s State) -> Self {
        Self { source: Source::Node(node), state }
    }

    /// Says where an error happened; one about a stand-in means only that its owner cannot be read further.
    pub fn place<T>(self, result: Result<T, Stop>) -> Result<T, Stop> {
        result.map_err(|stop| match self.source {
            Source::Node(node) => stop.at(node),
            Source::Missing(_) if matches!(stop.kind, Kind::Again) => stop,
            Source::Missing(owner) => Stop::leave_out(owner),
        })
    }

    fn text(self, wanted: &str, cure: &str) -> Result<Option<&'n Text>, Stop> {
        match self.source {
            Source::Missing(_) => Ok(None),
            Source::Node(node) => match &node.value {
                Value::Text(text) => Ok(Some(text)),
                other => self.place(Err(wrong(node, other, wanted, cure))),
            },
        }
    }

    fn number<T: std::str::FromStr>(self) -> Result<Option<T>, Stop> {
        let cure = "write one such as 3";
        let Some(text) = self.text("a whole number", cure)? else {
            return Ok(None);
        };
        let parsed = text.text.replace('_', "").parse().map(Some);
        self.place(parsed.map_err(|_| Stop::fault(format!("“{}” is not a whole number", text.text), cure)))
    }
}

fn wrong(node: &Node, found: &Value, wanted: &str, cure: &str) -> Stop {
    let found = match found {
        Value::Empty => "nothing",
        Value::Text(_) => "a single word",
        Value::List(_) => "a list",
        Value::Map(_) => "a block of keys",
        Value::Broken => return Stop::leave_out(node),
    };
    Stop::fault(format!("{found} stands where {wanted} belongs"), cure)
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            let number = self.number::<$type>()?.unwrap_or(1);
            self.place(visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = Stop;

    numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let Source::Node(node) = self.source else {
            return self.place(visitor.visit_unit());
        };
        match &node.value {
            Value::Empty => self.place(visitor.visit_unit()),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Broken => Err(Stop::leave_out(node)),
            Value::Text(text) if text.inferred => self.place(inferred(&text.text, visitor)),
            Value::Text(text) => self.place(visitor.visit_str(&text.text)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let cure = "write true or false";
        let Some(text) = self.text("yes or no", cure)? else {
            return self.place(visitor.visit_bool(false));
        };
        let value = match text.text.to_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err(Stop::fault(format!("“{}” is neither true nor false", text.text), cure)),
        };
        self.place(value.and_then(|value| visitor.visit_bool(value)))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let cure = "write one such as 2.5";
        let Some(text) = self.text("a number", cure)? else {
            return self.place(visitor.visit_f64(1.0));
        };
        let value = text.text.parse::<f64>().ok().filter(|value| value.is_finite());
        let value = value.ok_or_else(|| Stop::fault(format!("“{}” is not a number", text.text), cure));
        self.place(value.and_then(|value| visitor.visit_f64(value)))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let text = self.text("a text", "write it on the same line, after the colon")?;
        self.place(visitor.visit_str(text.map_or("", |text| &text.text)))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.source {
            Source::Missing(_) => self.place(visitor.visit_none()),
            Source::Node(node) if node.value == Value::Empty => self.place(visitor.visit_none()),
            Source::Node(_) => self.place(visitor.visit_some(self)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.source {
            Source::Node(node) if node.value != Value::Empty => {
                self.place(Err(wrong(node, &node.value, "nothing", "leave it empty")))
            }
            _ => self.place(visitor.visit_unit()),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.place(visitor.visit_unit())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        match (name, self.source) {
            (WITH_PLACE, _) => self.place(visitor.visit_seq(Located::new(self))),
            (WORD, Source::Missing(_)) => self.place(visitor.visit_unit()),
            (WORD, Source::Node(node)) => match &node.value {
                Value::Text(text) => self.place(visitor.visit_str(&text.text)),
                Value::Empty => self.place(Err(Stop::invalid_type(serde::de::Unexpected::Unit, &visitor))),
                Value::List(_) => self.place(Err(Stop::invalid_type(serde::de::Unexpected::Seq, &visitor))),
                Value::Map(_) => self.place(Err(Stop::invalid_type(serde::de::Unexpected::Map, &visitor))),
                Value::Broken => Err(Stop::leave_out(node)),
            },
            _ => self.place(visitor.visit_newtype_struct(self)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let Source::Node(node) = self.source else {
            return self.place(visitor.visit_seq(NoItems));
        };
        match &node.value {
            Value::List(items) => self.place(visitor.visit_seq(Items::new(items, self.state))),
            Value::Empty => self.place(visitor.visit_seq(NoItems)),
            Value::Text(text) => {
                let cure = format!("write [{}]", text.written);
                self.place(Err(Stop::fault("a single word stands where a list belongs", cure)))
            }
            other => self.place(Err(wrong(node, other, "a list", "write the items as “- item” lines below it"))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let Source::Node(node) = self.source else {
            return self.place(visitor.visit_map(NoFields::new(self, &[])));
        };
        match &node.value {
            Value::Map(entries) => self.place(visitor.visit_map(Fields::all(entries, self.state))),
            Value::Empty => self.place(visitor.visit_map(NoFields::new(self, &[]))),
            other => self.place(Err(no_keys(node, other))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let Source::Node(node) = self.source else {
            return self.place(visitor.visit_map(NoFields::new(self, fields)));
        };
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Empty => &[],
            other => return self.place(Err(no_keys(node, other))),
        };
        let missing = self.state.missing_in(node);
        let complete = missing.is_empty();
        match visitor.visit_map(Fields::of(node, entries, fields, missing, self.state)) {
            Ok(_) if !complete => Err(Stop::leave_out(node)),
            Err(Stop { kind: Kind::Missing(field), at: None }) => {
                let noted = entries.iter().any(|(key, value)| key == field && self.state.is_out(value));
                if !noted {
                    let whose = match node.path.rsplit('.').next() {
                        None | Some("") => String::new(),
                        Some(name) => format!(" in “{name}”"),
                    };
                    let place = node.key_place.unwrap_or(node.place);
                    self.state.note(place, format!("“{field}” is missing{whose}"), format!("add “{field}: …”"));
                }
                self.state.add_missing(node, field);
                Err(Stop::again())
            }
            other => self.place(other),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let choice = match self.source {
            Source::Missing(_) => Ok(Choice {
                name: variants.first().copied().unwrap_or_default(),
                name_place: None,
                content: Some(self),
            }),
            Source::Node(node) => match &node.value {
                Value::Text(text) => Ok(Choice { name: &text.text, name_place: None, content: None }),
                Value::Map(entries) => match entries.as_slice() {
                    [(name, content)] if !self.state.is_out(content) => Ok(Choice {
                        name,
                        name_place: content.key_place,
                        content: Some(Reader::new(content, self.state)),
                    }),
                    [_] => Err(Stop::leave_out(node)),
                    _ => Err(Stop::fault(
                        "exactly one key belongs here",
                        format!("write one of {}", variants.join(", ")),
                    )),
                },
                other => {
                    Err(wrong(node, other, "one of the known words", &format!("write one of {}", variants.join(", "))))
                }
            },
        };
        match choice {
            Ok(choice) if !variants.contains(&choice.name) => {
                let stop = Stop::unknown_variant(choice.name, variants);
                match (self.source, choice.name_place) {
                    (Source::Node(node), Some(place)) => {
                        let mut stop = stop.at(node);
                        if let Some(at) = &mut stop.at {
                            at.place = place;
                        }
                        Err(stop)
                    }
                    _ => self.place(Err(stop)),
                }
            }
            Ok(choice) => self.place(visitor.visit_enum(choice)),
            Err(stop) => self.place(Err(stop)),
        }
    }
}

fn no_keys(node: &Node, found: &Value) -> Stop {
    wrong(node, found, "a block of keys", "write “key: value” lines below it")
}

fn inferred<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, Stop> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" => return visitor.visit_bool(true),
        "false" | "no" | "off" => return visitor.visit_bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse() {
        visitor.visit_u64(number)
    } else if let Ok(number) = text.parse() {
        visitor.visit_i64(number)
    } else if let Ok(number) = text.parse() {
        visitor.visit_f64(number)
    } else {
        visitor.visit_str(text)
    }
}
