//! Signatures of requests, version 4 (AWS, "Signature Version 4 signing process").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{Headers, Server};

const DAY: u64 = 86_400;

/// Adds what a request needs to be taken: its time, the digest of its body, and the signature over all of it.
pub(super) fn sign(server: &Server, method: &str, target: &str, headers: &mut Headers, digest: &str) -> Result<()> {
    let stamp = stamp(SystemTime::now().duration_since(UNIX_EPOCH)?);
    let date = stamp.split('T').next().unwrap_or_default();
    headers.insert("x-amz-date".to_owned(), stamp.clone());
    headers.insert("x-amz-content-sha256".to_owned(), digest.to_owned());
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}");
    let scope = format!("{date}/{}/s3/aws4_request", server.region);
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let mut key = format!("AWS4{}", server.secret_key).into_bytes();
    for part in [date, &server.region, "s3", "aws4_request"] {
        key = tag(&key, part)?;
    }
    let (signature, access_key) = (hex(&tag(&key, &text)?), &server.access_key);
    let credential = format!("Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}");
    headers.insert("authorization".to_owned(), format!("AWS4-HMAC-SHA256 {credential}"));
    Ok(())
}

/// A digest of these bytes, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every byte but RFC 3986's unreserved ones, and those in `kept`, as `%XX`.
pub(super) fn percent_encode(text: &str, kept: &str) -> String {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.as_bytes().contains(&byte);
    let encode = |byte| if is_kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// The text with each `%XX` as its byte; what is no UTF-8 then is replaced.
pub(super) fn percent_decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => bytes.push(byte),
            None => bytes.push(b'%'),
        }
        let rest = if byte.is_some() { part.get(2..) } else { Some(part) };
        bytes.extend_from_slice(rest.unwrap_or_default().as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tag(key: &[u8], text: &str) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| anyhow!("{error}"))?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

/// A time as `20260131T235959Z`, by the calendar of Howard Hinnant's `civil_from_days`.
fn stamp(since_1970: Duration) -> String {
    let (days, second) = (since_1970.as_secs() / DAY + 719_468, since_1970.as_secs() % DAY);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_calendar() {
        for (seconds, told) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_369_353_600, "20130524T000000Z"),
            (1_798_761_599, "20261231T235959Z"),
        ] {
            assert_eq!(stamp(Duration::from_secs(seconds)), told);
        }
    }

    #[test]
    fn encoded_text_comes_back() {
        let text = "a b/%41+~é\u{1}";
        assert_eq!(percent_encode(text, "/"), "a%20b/%2541%2B~%C3%A9%01");
        assert_eq!(percent_decode(&percent_encode(text, "")), text);
        assert_eq!(percent_decode("100%"), "100%");
    }
}
