//! A row as a line of JSON, written piece by piece, so that no value is ever held encoded whole.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rusqlite::types::ValueRef;

use super::super::chunk::RowSink;
use crate::Result;

/// How many bytes are encoded at once: a multiple of three, so that base64 has padding at its end alone.
const BASE64_PIECE_BYTES: usize = 3 * 4_096;

/// Writes one row.
pub(super) fn row<'a>(sink: &mut impl RowSink, values: impl Iterator<Item = Result<ValueRef<'a>>>) -> Result<()> {
    let mut before: &[u8] = b"[";
    for value in values {
        sink.push(before)?;
        self::value(sink, value?)?;
        before = b",";
    }
    sink.push(b"]")?;
    sink.end_row()
}

fn value(sink: &mut impl RowSink, value: ValueRef<'_>) -> Result<()> {
    match value {
        ValueRef::Null => sink.push(b"null"),
        ValueRef::Integer(integer) => sink.push(integer.to_string().as_bytes()),
        ValueRef::Real(real) if real == f64::INFINITY => sink.push(br#"{"real":"inf"}"#),
        ValueRef::Real(real) if real == f64::NEG_INFINITY => sink.push(br#"{"real":"-inf"}"#),
        ValueRef::Real(real) => sink.push(ryu::Buffer::new().format(real).as_bytes()),
        ValueRef::Text(text) if std::str::from_utf8(text).is_ok() => string(sink, text),
        ValueRef::Text(text) => base64(sink, br#"{"text_base64":""#, text),
        ValueRef::Blob(blob) => base64(sink, br#"{"base64":""#, blob),
    }
}

fn string(sink: &mut impl RowSink, text: &[u8]) -> Result<()> {
    sink.push(b"\"")?;
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, from) = rest.split_at(at);
        sink.push(plain)?;
        let Some((&byte, after)) = from.split_first() else { break };
        escape(sink, byte)?;
        rest = after;
    }
    sink.push(rest)?;
    sink.push(b"\"")
}

fn escape(sink: &mut impl RowSink, byte: u8) -> Result<()> {
    match byte {
        0x08 => sink.push(br"\b"),
        b'\t' => sink.push(br"\t"),
        b'\n' => sink.push(br"\n"),
        0x0c => sink.push(br"\f"),
        b'\r' => sink.push(br"\r"),
        b'"' => sink.push(br#"\""#),
        b'\\' => sink.push(br"\\"),
        other => sink.push(format!("\\u{other:04x}").as_bytes()),
    }
}

fn base64(sink: &mut impl RowSink, opening: &[u8], bytes: &[u8]) -> Result<()> {
    sink.push(opening)?;
    let mut encoded = String::new();
    for piece in bytes.chunks(BASE64_PIECE_BYTES) {
        encoded.clear();
        STANDARD.encode_string(piece, &mut encoded);
        sink.push(encoded.as_bytes())?;
    }
    sink.push(br#""}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Lines(Vec<u8>);

    impl RowSink for Lines {
        fn push(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn end_row(&mut self) -> Result<()> {
            self.push(b"\n")
        }
    }

    #[test]
    fn writes_each_value_as_the_format_has_it() {
        let cases: &[(ValueRef<'_>, &str)] = &[
            (ValueRef::Null, "null"),
            (ValueRef::Integer(i64::MIN), "-9223372036854775808"),
            (ValueRef::Integer(i64::MAX), "9223372036854775807"),
            (ValueRef::Real(1e16), "1e16"),
            (ValueRef::Real(1e-5), "0.00001"),
            (ValueRef::Real(1e-6), "1e-6"),
            (ValueRef::Real(100_000.0), "100000.0"),
            (ValueRef::Real(-0.0), "-0.0"),
            (ValueRef::Real(5e-324), "5e-324"),
            (ValueRef::Real(f64::INFINITY), r#"{"real":"inf"}"#),
            (ValueRef::Real(f64::NEG_INFINITY), r#"{"real":"-inf"}"#),
            (ValueRef::Text(b""), r#""""#),
            (
                ValueRef::Text(b"\x00\x08\t\n\x0b\x0c\r\x1f\"\\/\x7f"),
                "\"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\/\x7f\"",
            ),
            (ValueRef::Text("ä\u{2028}😀".as_bytes()), "\"ä\u{2028}😀\""),
            (ValueRef::Text(b"a\xff"), r#"{"text_base64":"Yf8="}"#),
            (ValueRef::Blob(b""), r#"{"base64":""}"#),
            (ValueRef::Blob(b"\x00\xff"), r#"{"base64":"AP8="}"#),
        ];
        for (value, expected) in cases {
            let mut lines = Lines::default();
            row(&mut lines, [Ok(*value)].into_iter()).unwrap();
            assert_eq!(String::from_utf8(lines.0).unwrap(), format!("[{expected}]\n"));
        }
    }

    #[test]
    fn a_long_blob_is_padded_at_its_end_alone() {
        let blob: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut lines = Lines::default();
        row(&mut lines, [Ok(ValueRef::Null), Ok(ValueRef::Blob(&blob))].into_iter()).unwrap();
        assert_eq!(
            String::from_utf8(lines.0).unwrap(),
            format!("[null,{{\"base64\":\"{}\"}}]\n", STANDARD.encode(&blob))
        );
    }
}
