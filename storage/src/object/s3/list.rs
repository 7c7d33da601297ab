//! A listing in pages, whose order is checked.

use std::collections::{BTreeMap, btree_map};

use async_trait::async_trait;
use aws_sdk_s3::{operation::list_objects_v2::ListObjectsV2Output, types::EncodingType};
use futures::FutureExt;

use super::{
    Place,
    failure::failed,
    key::{LOCK, is_ours},
    settings::ListingOrder,
};
use crate::{Error, Listed, Listing, ObjectKey, Result, object::smallest::Smallest};

/// The most on a page, as servers have it.
pub(super) const PAGE_OBJECTS: i32 = 1_000;
/// How often a page is asked for again that came damaged.
const AGAIN: u32 = 2;
/// What the keys of a pass may take where the server does not sort. Each is held twice, with its tag.
const PASS_BYTES: usize = 2 << 20;

/// Objects in the order in which the server lists them.
pub(super) struct Pages {
    place: Place,
    which: Which,
    page_objects: i32,
    token: Option<String>,
    ended: bool,
}

/// Which objects are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The app's.
    Apps,
    /// Ours as well, but for the lock.
    AllButLock,
}

/// A line of a listing, with what tells one state of an object from another.
pub(super) struct Line {
    pub(super) listed: Listed,
    pub(super) etag: String,
    /// When it was last modified, in seconds since 1970, by the server's clock.
    pub(super) modified: Option<i64>,
}

impl Pages {
    pub(super) fn new(place: Place, page_objects: i32) -> Self {
        Self { place, which: Which::Apps, page_objects, token: None, ended: false }
    }

    /// Pages of others than an app's objects.
    pub(super) fn of(place: Place, which: Which) -> Self {
        Self { which, ..Self::new(place, PAGE_OBJECTS) }
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
                Ok(ours) if self.passes_over(ours) => continue,
                _ => {}
            }
            let listed = Listed { key: ObjectKey::try_from(below)?, size };
            let etag = super::meta::trim(object.e_tag().unwrap_or_default()).to_owned();
            lines.push(Line { listed, etag, modified: object.last_modified().map(|time| time.secs()) });
        }
        Ok(lines)
    }

    fn passes_over(&self, below_prefix: &str) -> bool {
        match self.which {
            Which::Apps => is_ours(below_prefix),
            Which::AllButLock => below_prefix == LOCK,
        }
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

/// Objects in the order of their keys' bytes.
pub(super) enum Sorted {
    /// Sorted by the server, and checked.
    ByServer(ServerSorted),
    /// Sorted by us.
    ByUs(UnsortedListing),
}

impl Sorted {
    /// Begins a listing.
    pub(super) fn begin(place: &Place) -> Self {
        match place.client.settings().listing {
            ListingOrder::Sorted => {
                Self::ByServer(ServerSorted { pages: Pages::new(place.clone(), PAGE_OBJECTS), last: None })
            }
            ListingOrder::Unsorted => {
                let after = Some(Vec::new());
                Self::ByUs(UnsortedListing { place: place.clone(), after, pass: BTreeMap::new().into_iter() })
            }
        }
    }

    /// The next lines; none is the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Line>> {
        match self {
            Self::ByServer(sorted) => sorted.next().await,
            Self::ByUs(unsorted) => unsorted.next().await,
        }
    }
}

#[async_trait]
impl Listing for Sorted {
    async fn next_page(&mut self) -> Result<Vec<Listed>> {
        Ok(self.next().await?.into_iter().map(|line| line.listed).collect())
    }
}

/// A listing whose order is the server's.
pub(super) struct ServerSorted {
    pages: Pages,
    last: Option<ObjectKey>,
}

impl ServerSorted {
    async fn next(&mut self) -> Result<Vec<Line>> {
        let page = self.pages.next().await?;
        for Line { listed, .. } in &page {
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

/// Sorted in as many passes as the memory for it asks for.
pub(super) struct UnsortedListing {
    place: Place,
    /// What the next pass begins after; none after the last.
    after: Option<Vec<u8>>,
    pass: btree_map::IntoIter<Vec<u8>, Line>,
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
            for line in page.into_iter().filter(|line| line.listed.key.as_bytes() > after) {
                kept.offer(line.listed.key.as_bytes().to_vec(), line);
            }
        }
        self.after = kept.more_after();
        self.pass = kept.into_sorted().into_iter();
        Ok(())
    }

    async fn next(&mut self) -> Result<Vec<Line>> {
        let page_objects = usize::try_from(PAGE_OBJECTS).unwrap_or_default();
        loop {
            let page: Vec<_> = self.pass.by_ref().take(page_objects).map(|(_, line)| line).collect();
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
