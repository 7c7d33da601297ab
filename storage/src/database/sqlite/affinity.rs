//! What SQLite would do to a value on its way into a column. See "Datatypes In SQLite", sections 3.1 and 3.3.
//!
//! A value that an INSERT would turn into another can be in a table only after its schema was edited. It can't be carried.

use rusqlite::types::ValueRef;

use super::schema::Column;

/// The rule of one place of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// A rowid in front of the columns.
    Rowid,
    /// The rule of a column, and whether it takes no null.
    Column { kind: Kind, not_null: bool },
}

/// The rule of one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Keeps each value as it is.
    Blob,
    /// Turns numbers into text.
    Text,
    /// Turns text that is a number, and reals that are whole, into numbers and integers.
    Numeric,
    /// Turns text that is a number into one, and reads integers as reals.
    Real,
    /// Takes integers alone.
    StrictInteger,
    /// Takes reals alone.
    StrictReal,
    /// Takes text alone.
    StrictText,
    /// Takes blobs alone.
    StrictBlob,
}

impl Affinity {
    /// The rule of a column as it is declared.
    pub(super) fn of(column: &Column, strict: bool) -> Self {
        let declared = column.declared.to_ascii_uppercase();
        let kind = if strict { Kind::strict(&declared) } else { Kind::loose(&declared) };
        Self::Column { kind, not_null: column.not_null }
    }

    /// Why an INSERT would not store exactly this value, if it wouldn't.
    pub(super) fn objection(self, value: ValueRef<'_>) -> Option<&'static str> {
        match (self, value) {
            (Self::Rowid, ValueRef::Integer(_)) => None,
            (Self::Rowid, _) => Some("a rowid that is no integer"),
            (Self::Column { not_null: true, .. }, ValueRef::Null) => Some("null where the column takes none"),
            (Self::Column { .. }, ValueRef::Null) => None,
            (Self::Column { kind, .. }, value) => kind.objection(value),
        }
    }
}

impl Kind {
    /// The five rules, in their order.
    fn loose(declared: &str) -> Self {
        let has = |part: &str| declared.contains(part);
        if has("INT") {
            Self::Numeric
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || declared.is_empty() {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    fn strict(declared: &str) -> Self {
        match declared {
            "INT" | "INTEGER" => Self::StrictInteger,
            "REAL" => Self::StrictReal,
            "TEXT" => Self::StrictText,
            "BLOB" => Self::StrictBlob,
            _ => Self::Blob,
        }
    }

    fn objection(self, value: ValueRef<'_>) -> Option<&'static str> {
        match (self, value) {
            (Self::Text, ValueRef::Integer(_) | ValueRef::Real(_)) => {
                Some("a number where the column would make it text")
            }
            (Self::Numeric | Self::Real, ValueRef::Text(text)) if is_number(text) => {
                Some("text where the column would make it a number")
            }
            (Self::Numeric, ValueRef::Real(real)) if is_whole(real) => {
                Some("a whole real where the column would make it an integer")
            }
            (Self::Real | Self::StrictReal, ValueRef::Integer(_)) => {
                Some("an integer where the column would make it a real")
            }
            (Self::StrictInteger, ValueRef::Integer(_))
            | (Self::StrictReal, ValueRef::Real(_))
            | (Self::StrictText, ValueRef::Text(_))
            | (Self::StrictBlob, ValueRef::Blob(_)) => None,
            (Self::StrictInteger | Self::StrictReal | Self::StrictText | Self::StrictBlob, _) => {
                Some("a value of a type that the column does not take")
            }
            _ => None,
        }
    }
}

/// Whether all of the text is one number, as `sqlite3AtoF` has it.
fn is_number(text: &[u8]) -> bool {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    let text = text.get(start..end).unwrap_or_default();
    let (whole, rest) = digits(without_sign(text));
    let (fraction, rest) = rest.strip_prefix(b".").map_or((0, rest), digits);
    if whole + fraction == 0 {
        return false;
    }
    match rest.split_first() {
        None => true,
        Some((b'e' | b'E', exponent)) => matches!(digits(without_sign(exponent)), (1.., [])),
        Some(_) => false,
    }
}

fn without_sign(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text)
}

/// How many digits the text begins with, and what follows them.
fn digits(text: &[u8]) -> (usize, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, text.get(count..).unwrap_or_default())
}

/// Whether SQLite would store the real as an integer, as `sqlite3VdbeIntegerAffinity` has it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    reason = "the cast saturates, and what it loses the comparison finds"
)]
fn is_whole(real: f64) -> bool {
    let integer = real as i64;
    #[expect(clippy::cast_precision_loss, reason = "as SQLite does")]
    let back = integer as f64;
    back == real && integer > i64::MIN && integer < i64::MAX
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, types::Value};

    use super::*;

    /// What SQLite makes of a value in a column of the type, against what we foretell.
    #[test]
    fn agrees_with_sqlite() {
        let texts = [
            "",
            " ",
            "1",
            " 1 ",
            "1 x",
            "x",
            "-",
            ".",
            "1.",
            ".5",
            "+.5e1",
            "1e",
            "1e+",
            "1e5",
            "1e999",
            "0x10",
            "2024-01-01",
            "inf",
            "9223372036854775807",
            "9223372036854775808",
            "-1.50",
            "\u{b}7\u{c}",
            "1\0",
            "\u{a0}1",
            "1_000",
            "1.e3",
            "..1",
            "--1",
        ];
        let reals = [0.0, -0.0, 1.0, 1.5, 1e15, 9.2e18, 9.3e18, -9.223_372_036_854_776e18, 1e300, f64::INFINITY];
        let mut values: Vec<Value> = texts.iter().map(|text| Value::Text((*text).into())).collect();
        values.extend(reals.map(Value::Real));
        values.extend([0, 1, -1, i64::MIN, i64::MAX].map(Value::Integer));
        values.extend([Value::Null, Value::Blob(vec![]), Value::Blob(b"12".to_vec())]);
        for declared in [
            "",
            "BLOB",
            "TEXT",
            "VARCHAR(3)",
            "INTEGER",
            "INT",
            "BIGINT",
            "NUMERIC",
            "DATETIME",
            "REAL",
            "DOUBLE",
            "FLOATING POINT",
            "ANY",
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(&format!("CREATE TABLE t (v {declared})")).unwrap();
            let column = Column { name: "v".into(), declared: declared.into(), not_null: false };
            for value in &values {
                connection.execute("DELETE FROM t", []).unwrap();
                connection.execute("INSERT INTO t VALUES (?)", [value]).unwrap();
                let stored: Value = connection.query_row("SELECT v FROM t", [], |row| row.get(0)).unwrap();
                let kept = stored == *value;
                let foretold = Affinity::of(&column, false).objection(value.into()).is_none();
                assert_eq!(kept, foretold, "{value:?} in {declared:?} becomes {stored:?}");
            }
        }
    }
}
