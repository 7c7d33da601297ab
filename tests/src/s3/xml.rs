//! What the harness needs of XML: the texts of elements, in answers that a server has written in one known manner.

use anyhow::{Context, Result};

/// What lies in each element of that name, which is in none of its own name.
pub(super) fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split(&open).skip(1).filter_map(|rest| rest.split(&close).next()).collect()
}

/// The text of the first element of that name.
pub(super) fn text(text: &str, name: &str) -> Option<String> {
    let whole = elements(text, name).first().map(|text| unescape(text));
    whole.or_else(|| text.contains(&format!("<{name}/>")).then(String::new))
}

/// The text of the first element of that name, which has to be there.
pub(super) fn needed(within: &str, name: &str) -> Result<String> {
    text(within, name).with_context(|| format!("no <{name}> in {within}"))
}

fn unescape(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (entity, rest) = piece.split_once(';').unwrap_or((piece, ""));
        let number = |digits: &str, base| u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
        let meant = match entity {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            other => match other.strip_prefix("#x") {
                Some(digits) => number(digits, 16),
                None => other.strip_prefix('#').and_then(|digits| number(digits, 10)),
            },
        };
        plain.extend(meant);
        plain.push_str(rest);
    }
    plain
}
