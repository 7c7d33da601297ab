//! A line of a plan: what is to become of one key.

use serde::{Deserialize, Serialize};

use super::shelves::{Coming, Stamp};
use crate::ObjectKey;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Op {
    /// The app has none of that key: it can be seen before the rows are swapped.
    New,
    /// The same, and others are in its way that go.
    Late,
    /// The app has another.
    Changed,
    /// The app has just the same.
    Same,
    /// The app's is to go.
    Gone,
    /// Nobody knows what it was: an app's user wrote it while an earlier import was swapped in.
    Left,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    #[serde(with = "key_text")]
    pub(super) key: ObjectKey,
    pub(super) op: Op,
    /// The app's object when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) live: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) coming: Option<Coming>,
    /// How many folders are made for it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) folders: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so serde calls it")]
fn is_none(folders: &u32) -> bool {
    *folders == 0
}

impl Line {
    /// As the two listings have it; whether both are the same is still to be seen.
    pub(super) fn new(key: ObjectKey, coming: Option<Coming>, live: Option<Stamp>) -> Self {
        let op = match (&coming, &live) {
            (Some(_), None) => Op::New,
            (Some(_), Some(_)) => Op::Changed,
            (None, Some(_)) => Op::Gone,
            (None, None) => Op::Left,
        };
        Self { key, op, live, coming, folders: 0 }
    }
}

/// A key is text where it can be, and base64 in an array of one where not.
mod key_text {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::ObjectKey;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Base64([String; 1]),
    }

    pub(super) fn serialize<S: Serializer>(key: &ObjectKey, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(key.as_bytes()) {
            Ok(text) => text.serialize(to),
            Err(_) => [BASE64_STANDARD.encode(key.as_bytes())].serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ObjectKey, D::Error> {
        let bytes = match Written::deserialize(from)? {
            Written::Text(text) => text.into_bytes(),
            Written::Base64([text]) => BASE64_STANDARD.decode(text).map_err(D::Error::custom)?,
        };
        ObjectKey::try_from(bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::shelves::Shelf, *};
    use crate::ImportId;

    #[test]
    fn a_line_comes_back_as_it_was_written() {
        let stamp = |size| Stamp { size, mark: format!("mark \"{size}\"") };
        let from = Shelf::Kept(ImportId::parse("0123456789abcdef").unwrap());
        for key in [&b"a/\n\"b\""[..], b"\xff/x", "\u{e9}".as_bytes()] {
            let key = ObjectKey::try_from(key).unwrap();
            let coming = Coming { from: from.clone(), stamp: stamp(2) };
            for (coming, live) in [(Some(coming.clone()), None), (Some(coming), Some(stamp(1))), (None, Some(stamp(1)))]
            {
                let line = Line { folders: 3, ..Line::new(key.clone(), coming, live) };
                let text = serde_json::to_string(&line).unwrap();
                assert!(!text.contains('\n'));
                assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line, "{text}");
            }
        }
    }
}
