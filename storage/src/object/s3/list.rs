//! A listing in pages, whose order is checked.

use std::collections::{BTreeMap, btree_map};

use async_trait::async_trait;
use aws_sdk_s3::{operation::list_objects_v2::ListObjectsV2Output, types::EncodingType};
use futures::FutureExt;

use super::{Place, failure::failed, key::is_ours, settings::ListingOrder};
use crate::{Error, Listed, Listing, ObjectKey, Result, object::smallest::Smallest};

/// The most on a page, as servers have it.
pub(super) const PAGE_OBJECTS: i32 = 1_000;
/// How often a page is asked for again that came damaged.
const AGAIN: u32 = 2;
/// What the keys of a pass may take where the server does not sort.
const PASS_BYTES: usize = 4 << 20;

/// Objects in the order in which the server lists them.
pub(super) struct Pages {
    place: Place,
    page_objects: i32,
    token: Option<String>,
    ended: bool,
}

/// A line of a listing, with what tells one state of an object from another.
pub(super) struct Line {
    pub(super) listed: Listed,
    pub(super) etag: String,
}

impl Pages {
    pub(super) fn new(place: Place, page_objects: i32) -> Self {
        Self { place, page_objects, token: None, ended: false }
    }

    /// The next lines that there are; none is the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Line>> {
        let mut damaged = 0;
        while !self.ended {
            match self.read().await {
                Ok(lines) if lines.is_empty() => {}
                // Cut or garbled on its way: what can be told of that is no answer of the server's.
                Err(Error::Corrupt { .. }) if damaged < AGAIN => damaged += 1,
                lines => return lines,
            }
        }
        Ok(Vec::new())
    }

    async fn read(&mut self) -> Result<Vec<Line>> {
        let answer = self.ask().await?;
        let lines = self.lines(&answer)?;
        self.advance(&answer)?;
        Ok(lines)
    }

    async fn ask(&self) -> Result<ListObjectsV2Output> {
        let place = &self.place;
        let _turn = place.client.turn().await;
        let request = place.client.sdk().await?.list_objects_v2().bucket(&*place.bucket).prefix(&*place.prefix);
        let request = request.encoding_type(EncodingType::Url).max_keys(self.page_objects);
        let sent = request.set_continuation_token(self.token.clone()).send().boxed().await;
        sent.map_err(failed(format!("listing {place}")))
    }

    /// A page that does not say whether it is the last, or where the next begins, is none.
    fn advance(&mut self, answer: &ListObjectsV2Output) -> Result<()> {
        let broken = |why: &str| Error::Corrupt { what: format!("listing {}", self.place), why: why.to_owned() };
        let came = answer.contents().len();
        if let Some(count) = answer.key_count()
            && usize::try_from(count).ok() != Some(came)
        {
            return Err(broken(&format!("{count} keys were told, and {came} came")));
        }
        match (answer.is_truncated(), answer.next_continuation_token()) {
            (Some(false), _) => self.ended = true,
            (Some(true), Some(token)) if self.token.as_deref() != Some(token) => self.token = Some(token.to_owned()),
            (Some(true), _) => return Err(broken("the server says that there is more, and not where it begins")),
            (None, _) => return Err(broken("the server does not say whether there is more")),
        }
        Ok(())
    }

    fn lines(&self, answer: &ListObjectsV2Output) -> Result<Vec<Line>> {
        let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let mut lines = Vec::with_capacity(answer.contents().len());
        for object in answer.contents() {
            let told = object.key().unwrap_or_default();
            let key = if is_encoded { decode(told) } else { told.as_bytes().to_vec() };
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            let below = key.strip_prefix(self.place.prefix.as_bytes());
            let (Some(below), Some(size)) = (below, size) else {
                let why = format!("the server listed {told:?}, which is not below what was asked for, or has no size");
                return Err(Error::Corrupt { what: format!("listing {}", self.place), why });
            };
            match std::str::from_utf8(below) {
                // What stands for the folder itself in some programs, and ours.
                Ok("") if size == 0 => continue,
                Ok(ours) if is_ours(ours) => continue,
                _ => {}
            }
            let listed = Listed { key: ObjectKey::try_from(below)?, size };
            lines.push(Line { listed, etag: super::meta::trim(object.e_tag().unwrap_or_default()).to_owned() });
        }
        Ok(lines)
    }
}

/// Undoes `encoding-type=url`, in which a space is a plus.
fn decode(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.split_first_chunk().filter(|_| byte == b'%');
        match escaped.and_then(|(digits, after)| Some((hex(*digits)?, after))) {
            Some((value, after)) => {
                decoded.push(value);
                rest = after;
            }
            None => {
                decoded.push(if byte == b'+' { b' ' } else { byte });
                rest = after;
            }
        }
    }
    decoded
}

fn hex([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// What a store hands out: sorted by the server, and checked.
pub(super) struct S3Listing {
    pages: Pages,
    last: Option<ObjectKey>,
}

/// Begins a listing.
pub(super) fn begin(place: &Place) -> Box<dyn Listing> {
    match place.client.settings().listing {
        ListingOrder::Sorted => Box::new(S3Listing { pages: Pages::new(place.clone(), PAGE_OBJECTS), last: None }),
        ListingOrder::Unsorted => {
            let after = Some(Vec::new());
            Box::new(UnsortedListing { place: place.clone(), after, pass: BTreeMap::new().into_iter() })
        }
    }
}

#[async_trait]
impl Listing for S3Listing {
    async fn next_page(&mut self) -> Result<Vec<Listed>> {
        let page: Vec<_> = self.pages.next().await?.into_iter().map(|line| line.listed).collect();
        for listed in &page {
            if self.last.as_ref().is_some_and(|last| *last >= listed.key) {
                let why = format!(
                    "the server does not list keys in the order of their bytes ({} came too late): set listing = \
                     \"unsorted\"",
                    listed.key
                );
                return Err(Error::Setup { what: self.pages.place.to_string(), why });
            }
            self.last = Some(listed.key.clone());
        }
        Ok(page)
    }
}

/// Sorted by us, in as many passes as the memory for it asks for.
struct UnsortedListing {
    place: Place,
    /// What the next pass begins after; none after the last.
    after: Option<Vec<u8>>,
    pass: btree_map::IntoIter<Vec<u8>, u64>,
}

impl UnsortedListing {
    async fn read_pass(&mut self, after: &[u8]) -> Result<()> {
        let mut pages = Pages::new(self.place.clone(), PAGE_OBJECTS);
        let mut kept = Smallest::new(PASS_BYTES);
        loop {
            let page = pages.next().await?;
            if page.is_empty() {
                break;
            }
            for line in page.iter().filter(|line| line.listed.key.as_bytes() > after) {
                kept.offer(line.listed.key.as_bytes().to_vec(), line.listed.size);
            }
        }
        self.after = kept.more_after();
        self.pass = kept.into_sorted().into_iter();
        Ok(())
    }
}

#[async_trait]
impl Listing for UnsortedListing {
    async fn next_page(&mut self) -> Result<Vec<Listed>> {
        let page_objects = usize::try_from(PAGE_OBJECTS).unwrap_or_default();
        loop {
            let page = self.pass.by_ref().take(page_objects);
            let page = page.map(|(key, size)| Ok(Listed { key: ObjectKey::try_from(key)?, size }));
            let page = page.collect::<Result<Vec<_>>>()?;
            if !page.is_empty() {
                return Ok(page);
            }
            let Some(after) = self.after.take() else { return Ok(Vec::new()) };
            self.read_pass(&after).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_of_their_encoding() {
        for (encoded, key) in [
            ("a%20b+c%2Bd", "a b c+d"),
            ("%E2%82%AC", "€"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%01", "\u{1}"),
        ] {
            assert_eq!(decode(encoded), key.as_bytes(), "{encoded}");
        }
    }
}
