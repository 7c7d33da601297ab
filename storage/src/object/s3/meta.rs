//! What a server knows of an object beside its bytes: out of an answer, and into a request.

use std::collections::BTreeMap;

use aws_sdk_s3::{
    config::http::HttpRequest,
    operation::{get_object::GetObjectOutput, head_object::HeadObjectOutput},
};

use crate::ObjectMeta;

/// The headers that are carried, by the names that archives have for them.
const HEADERS: [&str; 5] = ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"];
const USER: &str = "x-amz-meta-";
/// How much user metadata servers take, names and values.
const MAX_USER_BYTES: usize = 2_048;

/// What the answer to a GET says. The size is that of the whole object.
pub(super) fn of_answer(answer: &GetObjectOutput, size: u64) -> ObjectMeta {
    let told = [
        answer.cache_control(),
        answer.content_disposition(),
        answer.content_encoding(),
        answer.content_language(),
        answer.expires_string(),
    ];
    let headers = HEADERS.iter().zip(told).filter_map(|(name, value)| Some(((*name).to_owned(), value?.to_owned())));
    let user = answer.metadata().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
    ObjectMeta {
        size,
        modified: answer.last_modified().map(|time| u64::try_from(time.secs()).unwrap_or_default()),
        content_type: answer.content_type().map(str::to_owned),
        etag: answer.e_tag().map(|etag| trim(etag).to_owned()),
        headers: headers.collect(),
        user: user.collect(),
    }
}

/// What the answer to a HEAD says.
pub(super) fn of_head(answer: &HeadObjectOutput) -> ObjectMeta {
    let told = [
        answer.cache_control(),
        answer.content_disposition(),
        answer.content_encoding(),
        answer.content_language(),
        answer.expires_string(),
    ];
    let headers = HEADERS.iter().zip(told).filter_map(|(name, value)| Some(((*name).to_owned(), value?.to_owned())));
    let user = answer.metadata().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
    ObjectMeta {
        size: answer.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        modified: answer.last_modified().map(|time| u64::try_from(time.secs()).unwrap_or_default()),
        content_type: answer.content_type().map(str::to_owned),
        etag: answer.e_tag().map(|etag| trim(etag).to_owned()),
        headers: headers.collect(),
        user: user.collect(),
    }
}

/// An entity tag without its quotes.
pub(super) fn trim(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// The MD5 that an entity tag is, where it can be one.
pub(super) fn parse_digest(etag: &str) -> Option<[u8; 16]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = etag.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

/// Whether a server would keep all of it.
pub(super) fn is_kept(meta: &ObjectMeta) -> bool {
    meta.content_type.as_deref().is_none_or(is_value)
        && meta.headers.iter().all(|(name, value)| HEADERS.contains(&name.as_str()) && is_value(value))
        && kept_user(&meta.user).count() == meta.user.len()
}

/// What stands in the headers of a request that stores an object; what a server would not keep is left out.
pub(super) fn headers(meta: &ObjectMeta) -> Vec<(String, String)> {
    let content_type = meta.content_type.iter().filter(|value| is_value(value));
    let headers = meta.headers.iter().filter(|(name, value)| HEADERS.contains(&name.as_str()) && is_value(value));
    content_type
        .map(|value| ("content-type".to_owned(), value.clone()))
        .chain(headers.map(|(name, value)| (name.clone(), value.clone())))
        .chain(kept_user(&meta.user).map(|(name, value)| (format!("{USER}{name}"), value.clone())))
        .collect()
}

/// Puts them into a request, before it is signed.
pub(super) fn put_headers(request: &mut HttpRequest, headers: &[(String, String)]) {
    for (name, value) in headers {
        request.headers_mut().insert(name.clone(), value.clone());
    }
}

fn kept_user(user: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    let mut left = MAX_USER_BYTES;
    user.iter().filter(move |(name, value)| {
        let is_kept = is_name(name) && is_value(value) && name.len() + value.len() <= left;
        if is_kept {
            left -= name.len() + value.len();
        }
        is_kept
    })
}

/// Whether it can be a header's name, and comes back as it is.
fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether it can be a header's value, and comes back as it is.
fn is_value(value: &str) -> bool {
    !value.is_empty() && value.trim() == value && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_can_not_hold_is_left_out_and_told() {
        let meta = |name: &str, value: &str| ObjectMeta {
            user: [(name.to_owned(), value.to_owned()), ("kept".to_owned(), "yes".to_owned())].into(),
            ..ObjectMeta::default()
        };
        for (name, value) in
            [("a\r\nb", "x"), ("a", "x\r\nx-amz-acl: public-read"), ("A", "x"), ("a", "é"), ("", "x"), ("a", " x")]
        {
            assert!(!is_kept(&meta(name, value)), "{name:?} {value:?}");
            assert_eq!(headers(&meta(name, value)), [("x-amz-meta-kept".to_owned(), "yes".to_owned())]);
        }
        assert!(is_kept(&meta("a-b_c.d", "x; y=\"z\"")));
        assert!(!is_kept(&meta("long", &"x".repeat(2_045))));
        let acl = ObjectMeta { headers: [("x-amz-acl".into(), "public-read".into())].into(), ..ObjectMeta::default() };
        assert!(!is_kept(&acl) && headers(&acl).is_empty());
    }

    #[test]
    fn a_digest_is_told_from_other_tags() {
        assert_eq!(
            parse_digest("000102030405060708090a0b0c0d0e0f"),
            Some(std::array::from_fn(|n| u8::try_from(n).unwrap()))
        );
        for etag in [
            "",
            "000102030405060708090a0b0c0d0e0f-3",
            "000102030405060708090a0b0c0d0e0",
            "xyz102030405060708090a0b0c0d0e0f",
            "00",
        ] {
            assert_eq!(parse_digest(etag), None, "{etag}");
        }
    }
}
