//! The insides of lists, blocks of keys and choices, offered to Serde one after another.

use std::collections::BTreeSet;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::reader::{Reader, Source};
use super::stop::Stop;
use super::{State, WITH_PLACE};
use crate::config::fault::Place;
use crate::config::near;
use crate::config::node::Node;

/// The items of a list, without those that were left out.
pub(super) struct Items<'n, 's> {
    items: std::slice::Iter<'n, Node>,
    state: &'s State,
}

impl<'n, 's> Items<'n, 's> {
    pub fn new(items: &'n [Node], state: &'s State) -> Self {
        Self { items: items.iter(), state }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Stop;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        let Some(node) = self.items.find(|node| !self.state.is_out(node)) else {
            return Ok(None);
        };
        let reader = Reader::new(node, self.state);
        reader.place(seed.deserialize(reader)).map(Some)
    }
}

/// An empty list.
pub(super) struct NoItems;

impl<'de> SeqAccess<'de> for NoItems {
    type Error = Stop;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, _seed: T) -> Result<Option<T::Value>, Stop> {
        Ok(None)
    }
}

/// The entries of a block, without those that were left out; stand-ins for missing ones come last.
pub(super) struct Fields<'n, 's> {
    entries: std::slice::Iter<'n, (String, Node)>,
    known: Option<&'static [&'static str]>,
    owner: Option<&'n Node>,
    missing: Vec<&'static str>,
    state: &'s State,
    value: Option<Reader<'n, 's>>,
}

impl<'n, 's> Fields<'n, 's> {
    /// Every entry, whatever its key.
    pub fn all(entries: &'n [(String, Node)], state: &'s State) -> Self {
        Self { entries: entries.iter(), known: None, owner: None, missing: Vec::new(), state, value: None }
    }

    /// The entries with known keys; the others are noted.
    pub fn of(
        owner: &'n Node,
        entries: &'n [(String, Node)],
        known: &'static [&'static str],
        missing: BTreeSet<&'static str>,
        state: &'s State,
    ) -> Self {
        let missing = missing.into_iter().collect();
        Self { entries: entries.iter(), known: Some(known), owner: Some(owner), missing, state, value: None }
    }

    fn note_unknown(&self, key: &str, value: &Node, known: &'static [&'static str]) {
        let place = value.key_place.unwrap_or(value.place);
        self.state.note(place, format!("there is no key “{key}” here"), near::cure(key, known.iter().copied()));
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        while let Some((key, node)) = self.entries.next() {
            match self.known {
                Some(known) if !known.contains(&key.as_str()) => self.note_unknown(key, node, known),
                _ if self.state.is_out(node) => {}
                _ => {
                    let reader = Reader::new(node, self.state);
                    self.value = Some(reader);
                    let key = Key { text: key, place: node.key_place.unwrap_or(node.place) };
                    // A bad key takes its entry with it.
                    return seed.deserialize(key).map(Some).map_err(|mut stop| {
                        if stop.at.is_none() {
                            stop = stop.at(node);
                            if let Some(at) = &mut stop.at {
                                at.place = node.key_place.unwrap_or(node.place);
                            }
                        }
                        stop
                    });
                }
            }
        }
        let (Some(owner), Some(field)) = (self.owner, self.missing.pop()) else {
            return Ok(None);
        };
        self.value = Some(Reader { source: Source::Missing(owner), state: self.state });
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        let reader = self.value.take().ok_or_else(|| Stop::custom("a value was asked for before its key"))?;
        reader.place(seed.deserialize(reader))
    }
}

/// The fields of a structure that is missing as a whole.
pub(super) struct NoFields<'n, 's> {
    reader: Reader<'n, 's>,
    fields: std::slice::Iter<'static, &'static str>,
}

impl<'n, 's> NoFields<'n, 's> {
    pub fn new(reader: Reader<'n, 's>, fields: &'static [&'static str]) -> Self {
        Self { reader, fields: fields.iter() }
    }
}

impl<'de> MapAccess<'de> for NoFields<'_, '_> {
    type Error = Stop;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        self.fields.next().map(|field| seed.deserialize(StrDeserializer::new(field))).transpose()
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        self.reader.place(seed.deserialize(self.reader))
    }
}

/// A key, which may be asked for with its place.
struct Key<'k> {
    text: &'k str,
    place: Place,
}

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = Stop;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_str(self.text)
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        if name == WITH_PLACE {
            return visitor.visit_seq(LocatedKey { key: self, next: 0 });
        }
        visitor.visit_str(self.text)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct LocatedKey<'k> {
    key: Key<'k>,
    next: u8,
}

impl<'de> SeqAccess<'de> for LocatedKey<'_> {
    type Error = Stop;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(packed(self.key.place).into_deserializer()).map(Some),
            2 => seed.deserialize(StrDeserializer::new(self.key.text)).map(Some),
            _ => Ok(None),
        }
    }
}

/// A value preceded by its place, packed into a number.
pub(super) struct Located<'n, 's> {
    reader: Reader<'n, 's>,
    next: u8,
}

impl<'n, 's> Located<'n, 's> {
    pub fn new(reader: Reader<'n, 's>) -> Self {
        Self { reader, next: 0 }
    }
}

impl<'de> SeqAccess<'de> for Located<'_, '_> {
    type Error = Stop;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.next += 1;
        let (Source::Node(node) | Source::Missing(node)) = self.reader.source;
        match self.next {
            1 => seed.deserialize(packed(node.place).into_deserializer()).map(Some),
            2 => seed.deserialize(self.reader).map(Some),
            _ => Ok(None),
        }
    }
}

fn packed(place: Place) -> u64 {
    u64::from(place.line) << 32 | u64::from(place.column)
}

/// One of several words, with what stands below it.
pub(super) struct Choice<'n, 's> {
    /// The word.
    pub name: &'n str,
    /// Where it stands when it is a key.
    pub name_place: Option<Place>,
    /// What stands below it; `None` when it stands alone.
    pub content: Option<Reader<'n, 's>>,
}

impl<'de, 'n, 's> EnumAccess<'de> for Choice<'n, 's> {
    type Error = Stop;
    type Variant = Content<'n, 's>;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'n, 's>), Stop> {
        let variant = seed.deserialize(StrDeserializer::new(self.name))?;
        Ok((variant, Content { name: self.name, reader: self.content }))
    }
}

/// What stands below a chosen word.
pub(super) struct Content<'n, 's> {
    name: &'n str,
    reader: Option<Reader<'n, 's>>,
}

impl<'n, 's> Content<'n, 's> {
    fn needed(self) -> Result<Reader<'n, 's>, Stop> {
        let name = self.name;
        self.reader.ok_or_else(|| {
            Stop::fault(format!("“{name}” needs more than its name"), format!("write “{name}:” with its keys below"))
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'_, '_> {
    type Error = Stop;
    fn unit_variant(self) -> Result<(), Stop> {
        match self.reader {
            None => Ok(()),
            Some(reader) => serde::Deserialize::deserialize(reader),
        }
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        let reader = self.needed()?;
        reader.place(seed.deserialize(reader))
    }
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Stop> {
        self.needed()?.deserialize_tuple(length, visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.needed()?.deserialize_struct("", fields, visitor)
    }
}
