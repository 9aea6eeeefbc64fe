//! The single words of the file: each checks its own form, so that the fault stands under the word itself.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::decode::{WITH_PLACE, WORD};
use super::fault::Place;
use crate::incident::people::Role;
use crate::incident::time::Millis;

/// A value with the place where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
            type Value = At<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
                let absent = || de::Error::custom("the value has no place");
                let packed: u64 = parts.next_element()?.ok_or_else(absent)?;
                let value = parts.next_element()?.ok_or_else(absent)?;
                let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
                Ok(At { value, place: Place { line: half(packed >> 32), column: half(packed) } })
            }
        }
        deserializer.deserialize_newtype_struct(WITH_PLACE, AtVisitor(PhantomData))
    }
}

/// Named entries in the order of the file: `contacts:`, `services:` …
#[derive(Debug, Clone)]
pub(super) struct Entries<T>(pub Vec<(At<Name>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Entries<T> {
    /// The entry of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key.0 == name).map(|(_, entry)| entry)
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.iter().map(|(key, _)| key.0.as_str())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names with what stands below them")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident($inner:ty), $expected:literal, $pattern:literal, $stand_in:expr, $read:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(super) struct $name(pub $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct WordVisitor;
                impl<'de> Visitor<'de> for WordVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        let read: fn(&str) -> Result<$inner, String> = $read;
                        read(text.trim()).map($name).map_err(E::custom)
                    }
                    /// Only for a stand-in, which never reaches the configuration.
                    fn visit_unit<E>(self) -> Result<$name, E> {
                        Ok($name($stand_in))
                    }
                }
                deserializer.deserialize_newtype_struct(WORD, WordVisitor)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            /// Coarser than the reader, which also says what to write instead.
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut expected = $expected.to_owned();
                expected.replace_range(..1, &expected[..1].to_uppercase());
                json_schema!({"type": "string", "pattern": $pattern, "description": format!("{expected}.")})
            }
        }
    };
}

word!(
    /// A key that people type in Slack: `lead`, `rollback-shop`.
    Name(String),
    "a name",
    r"^\S+$",
    String::new(),
    name
);
word!(
    /// A length of time: `30s`, `15m`, `2h`, `1h 30m`.
    Length(Millis),
    "a length of time such as 15m",
    r"[0-9]",
    Millis(1),
    length
);
word!(
    /// A person's Slack id.
    SlackPerson(String),
    "a Slack member ID such as U012AB3CD",
    r"^[UW][A-Z0-9]{3,31}$",
    String::new(),
    |text| slack_id(text, &['U', 'W'], "a Slack member ID", "in Slack open the profile, then ⋮, then “Copy member ID”: it begins with U or W")
);
word!(
    /// A Slack channel's id.
    SlackChannel(String),
    "a Slack channel ID such as C012AB3CD",
    r"^[CG][A-Z0-9]{3,31}$",
    String::new(),
    |text| slack_id(text, &['C', 'G'], "a Slack channel ID", "in Slack click the channel's name: the ID stands at the end of “About” and begins with C")
);
word!(
    /// An e-mail address.
    Email(String),
    "an e-mail address",
    r"@",
    String::new(),
    |text| {
        let address = text.parse::<lettre::Address>();
        address.map(|_| text.to_owned()).map_err(|_| format!("“{text}” is not an e-mail address · write one such as lead@example.com"))
    }
);
word!(
    /// A phone number in E.164 form, without spaces.
    Phone(String),
    "a phone number such as +15550100",
    r"^\+",
    String::new(),
    phone
);
word!(
    /// An IANA time zone.
    Zone(String),
    "a time zone such as Europe/Paris",
    r"[A-Za-z]",
    String::new(),
    |text| {
        let zone = jiff::tz::TimeZone::get(text);
        zone.map(|_| text.to_owned()).map_err(|_| format!("“{text}” is not a time zone · write one such as Europe/Paris or UTC"))
    }
);
word!(
    /// A language Vigie speaks.
    Locale(String),
    "a language: en or fr",
    r"^(en|fr)$",
    String::new(),
    |text| match text {
        "en" | "fr" => Ok(text.to_owned()),
        _ => Err(format!("Vigie does not speak “{text}” · write en or fr")),
    }
);
word!(
    /// An http(s) address.
    Link(String),
    "an address such as https://status.example.com",
    r"^[Hh][Tt][Tt][Pp][Ss]?://",
    String::new(),
    |text| match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text.to_owned()),
        _ => Err(format!("“{text}” is not a web address · write one such as https://status.example.com")),
    }
);
word!(
    /// The beginning of incident channels' names.
    Prefix(String),
    "a beginning for channel names such as inc",
    r"^[^A-Z ]+$",
    String::new(),
    |text| {
        let fits = !text.is_empty()
            && text.len() <= 20
            && text.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
        if fits {
            Ok(text.to_owned())
        } else {
            Err(format!("“{text}” cannot begin a channel's name · use at most 20 lower-case letters, digits, - and _"))
        }
    }
);
word!(
    /// Somebody who may approve: a contact's key, `role:commander`, or `group:S0123ABC`, a user group of Slack.
    ApproverWord(Approving),
    "a contact's key, role:commander or group:S0123ABC",
    r"^\S",
    Approving::Role(Role::Commander),
    |text| if let Some(group) = text.strip_prefix("group:") {
        slack_id(group.trim(), &['S'], "the ID of a user group", "it begins with S; copy it from the group's address in Slack").map(Approving::Group)
    } else { match text.strip_prefix("role:") {
        None => name(text).map(Approving::Contact),
        Some(role) => role.trim().parse().map(Approving::Role).map_err(|()| {
            let known: Vec<&str> = Role::ALL.iter().map(|role| role.word()).collect();
            format!("there is no role “{role}” · {}", super::near::cure(role, known))
        }),
    }}
);
word!(
    /// A day of the week.
    Day(i8),
    "a day of the week such as tuesday",
    r"^[a-z]+$",
    1,
    |text| {
        let known = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let place = known.iter().zip(1..).find(|(day, _)| **day == text.to_lowercase());
        place.map(|(_, number)| number).ok_or_else(|| format!("“{text}” is no day of the week · {}", super::near::cure(text, known)))
    }
);
word!(
    /// A time of day.
    TimeOfDay(jiff::civil::Time),
    "a time of day such as 09:00",
    r"^[0-9]",
    jiff::civil::Time::midnight(),
    |text| jiff::civil::Time::strptime("%H:%M", text).map_err(|_| format!("“{text}” is not a time of day · write one such as 09:00"))
);
word!(
    /// A day of the calendar.
    CalendarDay(jiff::civil::Date),
    "a day such as 2026-12-20",
    r"^[0-9]",
    jiff::civil::Date::ZERO,
    |text| text.parse().map_err(|_| format!("“{text}” is not a day · write one such as 2026-12-20"))
);

/// Who may approve, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Approving {
    /// A contact, by key.
    Contact(String),
    /// Whoever holds the role.
    Role(Role),
    /// Whoever is in the user group.
    Group(String),
}

fn name(text: &str) -> Result<String, String> {
    let letter = |c: char| c.is_alphanumeric() && !c.is_uppercase();
    let fits = text.starts_with(letter) && text.chars().all(|c| letter(c) || matches!(c, '-' | '_'));
    if fits && text.chars().count() <= 40 {
        return Ok(text.to_owned());
    }
    let better: String =
        text.to_lowercase().chars().map(|c| if letter(c) { c } else { '-' }).take(40).collect::<String>();
    let better = better.trim_matches('-');
    let cure = if better.is_empty() {
        "write for example lead or rollback-shop".to_owned()
    } else {
        format!("write “{better}”")
    };
    Err(format!("“{text}” cannot be typed as one word: only lower-case letters, digits, - and _ · {cure}"))
}

fn length(text: &str) -> Result<Millis, String> {
    let wrong = || format!("“{text}” is not a length of time · write for example 30s, 15m, 2h or 1h 30m");
    let length: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    match i64::try_from(length.as_millis()) {
        Ok(millis) if millis > 0 => Ok(Millis(millis)),
        _ => Err(wrong()),
    }
}

fn slack_id(text: &str, first: &[char], what: &str, cure: &str) -> Result<String, String> {
    let fits = text.starts_with(first)
        && (4..=32).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if fits { Ok(text.to_owned()) } else { Err(format!("“{text}” is not {what} · {cure}")) }
}

/// E.164: a plus sign, the country, the number, at most 15 digits; spaces and hyphens are for the eyes.
fn phone(text: &str) -> Result<String, String> {
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let digits = bare.strip_prefix('+').unwrap_or_default();
    let fits =
        (7..=15).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit()) && !digits.starts_with('0');
    if fits {
        Ok(bare)
    } else {
        Err(format!(
            "“{text}” is not an international phone number · write it with + and the country, such as +15550100"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_typed_as_one_word() {
        for good in ["lead", "rollback-shop", "sev2", "équipe", "v1_2"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        assert!(name("Roll back").unwrap_err().ends_with("write “roll-back”"));
        assert!(name("").is_err() && name("-x").is_err());
    }

    #[test]
    fn lengths_read_as_people_write_them_and_nothing_is_no_length() {
        assert_eq!(length("15m"), Ok(Millis::minutes(15)));
        assert_eq!(length("1h 30m"), Ok(Millis::minutes(90)));
        assert_eq!(length("30s"), Ok(Millis::seconds(30)));
        for wrong in ["15", "0s", "-1m", "soon"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_phone_number_is_international_and_loses_its_spaces() {
        assert_eq!(phone("+1 555 0100").as_deref(), Ok("+15550100"));
        for wrong in ["0612345678", "+0 12", "+1555CALLNOW", "+1234567890123456"] {
            assert!(phone(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn slack_ids_have_slacks_form() {
        let person = |text| slack_id(text, &['U', 'W'], "a Slack member ID", "x");
        assert!(person("U0ONCALL").is_ok());
        for wrong in ["@lead", "C0GENERAL", "U0lead", "U"] {
            assert!(person(wrong).is_err(), "{wrong}");
        }
    }
}
