//! A line of JSON as the values of a row, each bound to a statement as soon as it is read.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rusqlite::{
    Statement,
    types::{ToSqlOutput, ValueRef},
};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

/// Binds the values of a row, newline or not, to the statement's parameters, with exactly the types they have in the row.
///
/// # Errors
/// Why the row is not one of `width` values that we would have written.
pub(super) fn bind(statement: &mut Statement<'_>, row: &[u8], width: usize) -> Result<(), String> {
    let mut deserializer = serde_json::Deserializer::from_slice(row);
    deserializer.deserialize_seq(RowVisitor { statement, width }).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())
}

struct RowVisitor<'s, 'c> {
    statement: &'s mut Statement<'c>,
    width: usize,
}

impl<'de> Visitor<'de> for RowVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {} values", self.width)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        for index in 1..=self.width {
            let place = Place { statement: &mut *self.statement, index };
            if values.next_element_seed(place)?.is_none() {
                return Err(A::Error::invalid_length(index - 1, &self));
            }
        }
        match values.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::invalid_length(self.width + 1, &self)),
        }
    }
}

/// A parameter that waits for its value.
struct Place<'s, 'c> {
    statement: &'s mut Statement<'c>,
    index: usize,
}

impl Place<'_, '_> {
    fn bind<E: serde::de::Error>(self, value: ValueRef<'_>) -> Result<(), E> {
        self.statement.raw_bind_parameter(self.index, ToSqlOutput::Borrowed(value)).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, an integer of 64 bits, a real, text, or one of the objects base64, text_base64 and real")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.bind(ValueRef::Null)
    }

    fn visit_i64<E: serde::de::Error>(self, integer: i64) -> Result<(), E> {
        self.bind(ValueRef::Integer(integer))
    }

    fn visit_u64<E: serde::de::Error>(self, integer: u64) -> Result<(), E> {
        let integer = i64::try_from(integer).map_err(|_| E::custom("an integer of more than 64 bits"))?;
        self.bind(ValueRef::Integer(integer))
    }

    fn visit_f64<E: serde::de::Error>(self, real: f64) -> Result<(), E> {
        self.bind(ValueRef::Real(real))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.bind(ValueRef::Text(text.as_bytes()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let kind = map.next_key_seed(KindSeed)?.ok_or_else(|| A::Error::custom("an object without a key"))?;
        map.next_value_seed(InObject { kind, place: self })?;
        match map.next_key::<serde::de::IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("an object with more than one key")),
        }
    }
}

/// The key of an object that stands for a value.
#[derive(Clone, Copy)]
enum Kind {
    Blob,
    Text,
    Real,
}

struct KindSeed;

impl<'de> DeserializeSeed<'de> for KindSeed {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KindSeed {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64, text_base64 or real")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Kind, E> {
        match key {
            "base64" => Ok(Kind::Blob),
            "text_base64" => Ok(Kind::Text),
            "real" => Ok(Kind::Real),
            other => Err(E::unknown_field(other, &["base64", "text_base64", "real"])),
        }
    }
}

/// The value of such an object.
struct InObject<'s, 'c> {
    kind: Kind,
    place: Place<'s, 'c>,
}

impl<'de> DeserializeSeed<'de> for InObject<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for InObject<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match (self.kind, text) {
            (Kind::Real, "inf") => self.place.bind(ValueRef::Real(f64::INFINITY)),
            (Kind::Real, "-inf") => self.place.bind(ValueRef::Real(f64::NEG_INFINITY)),
            (Kind::Real, _) => Err(E::custom("a real that is neither inf nor -inf")),
            (Kind::Blob, _) => self.place.bind(ValueRef::Blob(&STANDARD.decode(text).map_err(E::custom)?)),
            (Kind::Text, _) => self.place.bind(ValueRef::Text(&STANDARD.decode(text).map_err(E::custom)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, types::Value};

    use super::*;

    fn read(row: &str) -> Result<Value, String> {
        let connection = Connection::open_in_memory().unwrap();
        let mut statement = connection.prepare("SELECT ?").unwrap();
        bind(&mut statement, row.as_bytes(), 1)?;
        let value = statement.raw_query().next().unwrap().unwrap().get(0).unwrap();
        Ok(value)
    }

    #[test]
    fn reads_each_value_with_its_own_type() {
        let cases = [
            ("[null]", Value::Null),
            ("[1]", Value::Integer(1)),
            ("[1.0]\n", Value::Real(1.0)),
            ("[1e16]", Value::Real(1e16)),
            ("[-9223372036854775808]", Value::Integer(i64::MIN)),
            ("[9223372036854775807]", Value::Integer(i64::MAX)),
            ("[5e-324]", Value::Real(5e-324)),
            (r#"[{"real":"-inf"}]"#, Value::Real(f64::NEG_INFINITY)),
            (r#"["a\u0000\"b"]"#, Value::Text("a\0\"b".into())),
            (r#"[""]"#, Value::Text(String::new())),
            (r#"[{"base64":"AP8="}]"#, Value::Blob(vec![0, 0xff])),
            (r#"[{"base64":""}]"#, Value::Blob(vec![])),
        ];
        for (row, expected) in cases {
            assert_eq!(read(row).unwrap(), expected, "{row}");
        }
    }

    #[test]
    fn refuses_what_we_would_not_have_written() {
        let refused = [
            "",
            "[",
            "[]",
            "[1,2]",
            "[1]x",
            "[1][2]",
            "{}",
            "1",
            "[true]",
            "[[1]]",
            "[{}]",
            "[9223372036854775808]",
            "[1e999]",
            "[NaN]",
            r#"["\ud800"]"#,
            r#"[{"base64":"A"}]"#,
            r#"[{"base64":1}]"#,
            r#"[{"real":"nan"}]"#,
            r#"[{"real":"1"}]"#,
            r#"[{"other":"1"}]"#,
            r#"[{"base64":"","base64":""}]"#,
            "[1,]",
        ];
        for row in refused {
            assert!(read(row).is_err(), "{row}");
        }
    }
}
