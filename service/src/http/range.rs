//! A part of something, as `Range` asks for it (RFC 9110, 14.1.2): one range of bytes.

use std::ops::Range;

/// What is asked for of so many bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: nothing was asked for, or nothing that is understood here.
    All,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that there are none of.
    Unsatisfiable,
}

/// Reads the header. Several ranges, and other units than bytes, are passed over, as the RFC allows.
pub(super) fn asked(header: Option<&str>, size: u64) -> Asked {
    let unit = header.and_then(|header| header.trim().split_once('='));
    let set = unit.filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes")).map(|(_, set)| set);
    let Some((first, last)) = set.and_then(|set| set.split_once('-')) else { return Asked::All };
    let number = |text: &str| match text {
        "" => Ok(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Some(digits.parse::<u64>().unwrap_or(u64::MAX)))
        }
        _ => Err(()),
    };
    match (number(first), number(last)) {
        (Ok(None), Ok(Some(0))) => Asked::Unsatisfiable,
        (Ok(None), Ok(Some(_))) if size == 0 => Asked::Unsatisfiable,
        (Ok(None), Ok(Some(suffix))) => Asked::Part(size.saturating_sub(suffix)..size),
        (Ok(Some(first)), Ok(Some(last))) if last < first => Asked::All,
        (Ok(Some(first)), Ok(_)) if first >= size => Asked::Unsatisfiable,
        (Ok(Some(first)), Ok(last)) => Asked::Part(first..last.map_or(size, |last| last.saturating_add(1).min(size))),
        _ => Asked::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_what_the_rfc_says() {
        for (header, expected) in [
            (None, Asked::All),
            (Some("bytes=0-0"), Asked::Part(0..1)),
            (Some("Bytes=5-"), Asked::Part(5..10)),
            (Some("bytes=5-99999999999999999999999"), Asked::Part(5..10)),
            (Some("bytes=-3"), Asked::Part(7..10)),
            (Some("bytes=-30"), Asked::Part(0..10)),
            (Some("bytes=-0"), Asked::Unsatisfiable),
            (Some("bytes=10-"), Asked::Unsatisfiable),
            (Some("bytes=5-4"), Asked::All),
            (Some("bytes=0-1,3-4"), Asked::All),
            (Some("bytes=-"), Asked::All),
            (Some("bytes=+1-2"), Asked::All),
            (Some("bytes= 1-2"), Asked::All),
            (Some("items=0-1"), Asked::All),
        ] {
            assert_eq!(asked(header, 10), expected, "{header:?}");
        }
        assert_eq!(asked(Some("bytes=0-"), 0), Asked::Unsatisfiable);
        assert_eq!(asked(Some("bytes=-1"), 0), Asked::Unsatisfiable);
    }
}
