//! Two listings side by side: what is to come, and what is there.

use std::{cmp::Ordering, vec};

use super::{
    line::{Line, Op},
    record::{Draft, Record},
    shelves::{Coming, Found, FoundPages, Shelf, Shelves},
};
use crate::{Error, ImportId, ObjectKey, Result, SwapPlan};

/// What a key is to become. Nothing to come: it is to be left as it is.
pub(super) struct Wanted {
    key: ObjectKey,
    coming: Option<Coming>,
}

/// What is to come, in the order of the keys' bytes.
pub(super) enum Wanting<'a> {
    /// All that waits.
    Waiting(Cursor),
    /// What an import put aside.
    Replaced(Box<PutAside<'a>>),
}

impl Wanting<'_> {
    async fn next(&mut self) -> Result<Option<Wanted>> {
        match self {
            Self::Waiting(cursor) => {
                let found = cursor.next().await?;
                Ok(found.map(|found| Wanted { key: found.key.clone(), coming: Some(cursor.coming(found)) }))
            }
            Self::Replaced(aside) => aside.next().await,
        }
    }
}

/// Writes down what makes the one the other.
pub(super) async fn plan(shelves: &dyn Shelves, mut wanting: Wanting<'_>) -> Result<SwapPlan> {
    let mut live = Cursor::open(shelves, Shelf::Live).await?;
    let mut draft = Draft::new(shelves);
    let (mut wanted, mut there) = (wanting.next().await?, live.next().await?);
    loop {
        let order = match (&wanted, &there) {
            (None, None) => return draft.finish().await,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(wanted), Some(there)) => wanted.key.cmp(&there.key),
        };
        let found = if order == Ordering::Less { None } else { there.take() };
        if found.is_some() {
            there = live.next().await?;
        }
        let line = match if order == Ordering::Greater { None } else { wanted.take() } {
            Some(Wanted { key, coming }) => {
                wanted = wanting.next().await?;
                match coming {
                    Some(_) => Line::new(key, coming, found.map(|found| found.stamp)),
                    None => Line { op: Op::Left, ..Line::new(key, None, None) },
                }
            }
            None => match found {
                Some(Found { key, stamp }) => Line::new(key, None, Some(stamp)),
                None => continue,
            },
        };
        draft.add(line).await?;
    }
}

/// A shelf's objects, one after the other.
pub(super) struct Cursor {
    shelf: Shelf,
    pages: Box<dyn FoundPages>,
    page: vec::IntoIter<Found>,
    /// One that was looked at and not taken.
    held: Option<Found>,
}

impl Cursor {
    pub(super) async fn open(shelves: &dyn Shelves, shelf: Shelf) -> Result<Self> {
        let pages = shelves.list(&shelf).await?;
        Ok(Self { shelf, pages, page: Vec::new().into_iter(), held: None })
    }

    pub(super) async fn next(&mut self) -> Result<Option<Found>> {
        if let Some(found) = self.held.take().or_else(|| self.page.next()) {
            return Ok(Some(found));
        }
        self.page = self.pages.next_page().await?.into_iter();
        Ok(self.page.next())
    }

    /// The object of a key, where keys are asked for in order.
    async fn find(&mut self, key: &ObjectKey) -> Result<Option<Coming>> {
        while let Some(found) = self.next().await? {
            match found.key.cmp(key) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(Some(self.coming(found))),
                Ordering::Greater => {
                    self.held = Some(found);
                    break;
                }
            }
        }
        Ok(None)
    }

    fn coming(&self, found: Found) -> Coming {
        Coming { from: self.shelf.clone(), stamp: found.stamp }
    }
}

/// What an import found in its place: the objects that it put aside, and those that were the same, of which its own wait still.
pub(super) struct PutAside<'a> {
    shelves: &'a dyn Shelves,
    import: ImportId,
    record: Record,
    next_block: u32,
    lines: vec::IntoIter<Line>,
    kept: Cursor,
    same: Cursor,
}

impl<'a> PutAside<'a> {
    /// Begins to read what an import left.
    ///
    /// # Errors
    /// `NotFound` where it left nothing.
    pub(super) async fn open(shelves: &'a dyn Shelves, import: &ImportId) -> Result<Self> {
        let record = Record::read(shelves, import).await?;
        let nothing = || Error::NotFound { what: format!("what import {import} replaced") };
        Ok(Self {
            shelves,
            import: import.clone(),
            record: record.ok_or_else(nothing)?,
            next_block: 0,
            lines: Vec::new().into_iter(),
            kept: Cursor::open(shelves, Shelf::Kept(import.clone())).await?,
            same: Cursor::open(shelves, Shelf::New(import.clone())).await?,
        })
    }

    async fn next(&mut self) -> Result<Option<Wanted>> {
        while let Some(line) = self.next_line().await? {
            let coming = match line.op {
                // It was not there.
                Op::New | Op::Late => continue,
                // Where none was put aside, a user had written it in the meantime.
                Op::Changed | Op::Gone => self.kept.find(&line.key).await?,
                Op::Same => self.same.find(&line.key).await?,
                Op::Left => None,
            };
            return Ok(Some(Wanted { key: line.key, coming }));
        }
        Ok(None)
    }

    async fn next_line(&mut self) -> Result<Option<Line>> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(Some(line));
            }
            if self.next_block == self.record.blocks {
                return Ok(None);
            }
            self.lines = Record::block(self.shelves, &self.import, self.next_block).await?.into_iter();
            self.next_block += 1;
        }
    }
}
