//! An import into the place of what is there: the same steps in every store.

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;

use super::{
    ObjectSwap, Replaced, SwapPlan,
    each::each,
    line::{Line, Op},
    merge::{self, Cursor, PutAside, Wanting},
    record::{COMPLETE, Record, read_count, write_count},
    shelves::{Coming, Copied, Over, Shelf, Shelves, Stamp},
};
use crate::{Error, ImportId, ObjectBody, ObjectKey, ObjectMeta, Result};

/// Stands there from before the first object is published: until then, what the app has under a new key is not ours.
const BEGUN: &str = "plan/begun";
/// Says that all new objects are published, and how many were left as an app's user had stored others.
const NEW: &str = "plan/new";
/// The same of all others.
const PUBLISHED: &str = "plan/published";
/// Says that what waited and was published waits no more.
const RELEASED: &str = "plan/released";

/// An import's objects, in a place of their own. It holds nothing that is not written there, and a drop does nothing.
pub(crate) struct Replacing<S> {
    shelves: S,
    import: ImportId,
}

impl<S: Shelves> Replacing<S> {
    pub(crate) fn new(shelves: S, import: ImportId) -> Self {
        Self { shelves, import }
    }

    async fn record(&self) -> Result<Option<Record>> {
        Record::read(&self.shelves, &self.import).await
    }

    async fn note(&self, name: &str) -> Result<Option<u64>> {
        read_count(&self.shelves, &self.import, name).await
    }

    /// Does the work for all lines of a plan, and gives the sum.
    async fn for_lines(&self, record: &Record, work: Work) -> Result<u64> {
        let mut sum = 0;
        for number in 0..record.blocks {
            let lines = Record::block(&self.shelves, &self.import, number).await?;
            let one = |line: Line| async move { self.work(work, &line).await }.boxed();
            sum += each(lines, self.shelves.at_once(), one).await?.into_iter().sum::<u64>();
        }
        Ok(sum)
    }

    /// Gives how many objects were left as they are.
    async fn work(&self, work: Work, line: &Line) -> Result<u64> {
        match (work, line.op, &line.coming) {
            (Work::PublishNew, Op::New, Some(coming)) | (Work::PublishLate, Op::Late, Some(coming)) => {
                self.publish_new_one(line, coming).await
            }
            (Work::Replace(replaced), Op::Changed | Op::Gone, _) => self.replace_one(line, replaced).await,
            (Work::Replace(Replaced::Kept), Op::Same, Some(coming)) => self.keep_same(line, coming).await,
            (Work::TakeBack, Op::New, Some(coming)) => self.take_back_one(line, coming).await,
            _ => Ok(0),
        }
    }

    async fn publish_new_one(&self, line: &Line, coming: &Coming) -> Result<u64> {
        match self.shelves.copy(&line.key, coming, &Shelf::Live, Over::Never).await? {
            Copied::Done => Ok(0),
            Copied::Lost => Err(lost(&line.key, coming)),
            Copied::Occupied => match self.shelves.look(&Shelf::Live, &line.key).await? {
                Some(live) if self.shelves.is_copy(&line.key, coming, &live).await? => Ok(0),
                _ => Ok(1),
            },
        }
    }

    /// One that is the new one already has been replaced. It is put aside first, while it is what it was.
    async fn replace_one(&self, line: &Line, replaced: Replaced) -> Result<u64> {
        let (live, planned) = match (self.shelves.look(&Shelf::Live, &line.key).await?, &line.live) {
            (Some(live), Some(planned)) => (live, planned),
            // It has gone, as it was to go; or it is there no more and was to be changed.
            (None, _) | (_, None) => return Ok(u64::from(line.op != Op::Gone)),
        };
        if let Some(coming) = &line.coming
            && self.is_replaced(&line.key, coming, planned, &live).await?
        {
            return Ok(0);
        }
        if live != *planned {
            return Ok(1);
        }
        if replaced == Replaced::Kept {
            let aside = Coming { from: Shelf::Live, stamp: live };
            let kept = Shelf::Kept(self.import.clone());
            if self.shelves.copy(&line.key, &aside, &kept, Over::Replace).await? != Copied::Done {
                return Ok(1);
            }
        }
        let Some(coming) = &line.coming else {
            self.shelves.delete(&Shelf::Live, vec![line.key.clone()]).await?;
            return Ok(0);
        };
        match self.shelves.copy(&line.key, coming, &Shelf::Live, Over::Replace).await? {
            Copied::Done => Ok(0),
            Copied::Occupied => Ok(1),
            Copied::Lost => Err(lost(&line.key, coming)),
        }
    }

    /// Whether the app's object is the one that was to come.
    async fn is_replaced(&self, key: &ObjectKey, coming: &Coming, planned: &Stamp, live: &Stamp) -> Result<bool> {
        if coming.stamp == *planned {
            // They differ in what a stamp does not tell: their metadata.
            return Ok(live == planned && self.shelves.is_same(key, coming, live).await?);
        }
        self.shelves.is_copy(key, coming, live).await
    }

    /// An undo's own copy of what stays as it is: the one that it was compared with goes with the import that is undone.
    async fn keep_same(&self, line: &Line, coming: &Coming) -> Result<u64> {
        let own = Shelf::New(self.import.clone());
        if coming.from != own && self.shelves.copy(&line.key, coming, &own, Over::Replace).await? != Copied::Done {
            return Err(lost(&line.key, coming));
        }
        Ok(0)
    }

    async fn take_back_one(&self, line: &Line, coming: &Coming) -> Result<u64> {
        match self.shelves.look(&Shelf::Live, &line.key).await? {
            Some(live) if self.shelves.is_copy(&line.key, coming, &live).await? => {
                self.shelves.take_back(&line.key, line.folders).await?;
                Ok(0)
            }
            _ => Ok(1),
        }
    }

    /// Lets go of what waited and is in its place.
    async fn release(&self, record: &Record) -> Result<()> {
        if self.note(RELEASED).await?.is_some() {
            return Ok(());
        }
        let own = Shelf::New(self.import.clone());
        for number in 0..record.blocks {
            let mut lines = Record::block(&self.shelves, &self.import, number).await?;
            lines.retain(|line| line.op != Op::Same && line.coming.as_ref().is_some_and(|coming| coming.from == own));
            self.shelves.delete(&own, lines.into_iter().map(|line| line.key).collect()).await?;
        }
        write_count(&self.shelves, RELEASED, 0).await
    }

    /// Takes the place away, from now on for good: what is without its end was never a plan.
    async fn clear(&self) -> Result<()> {
        self.shelves.remove_note(COMPLETE).await?;
        self.shelves.clear().await
    }

    async fn size_bytes(&self, shelf: Shelf) -> Result<u64> {
        let (mut cursor, mut sum) = (Cursor::open(&self.shelves, shelf).await?, 0);
        while let Some(found) = cursor.next().await? {
            sum += found.stamp.size;
        }
        Ok(sum)
    }
}

/// What is done with the lines of a plan.
#[derive(Clone, Copy, Debug)]
enum Work {
    PublishNew,
    PublishLate,
    Replace(Replaced),
    TakeBack,
}

/// Nobody but us deletes what waits.
fn lost(key: &ObjectKey, coming: &Coming) -> Error {
    Error::NotFound { what: format!("object {key}, which should wait in {},", coming.from) }
}

#[async_trait]
impl<S: Shelves> ObjectSwap for Replacing<S> {
    async fn begin(&self) -> Result<()> {
        self.shelves.make().await
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.shelves.put(key, meta, body).await
    }

    async fn plan(&self) -> Result<SwapPlan> {
        let waiting = Cursor::open(&self.shelves, Shelf::New(self.import.clone())).await?;
        merge::plan(&self.shelves, Wanting::Waiting(waiting)).await
    }

    async fn plan_back(&self, replaced: &ImportId) -> Result<SwapPlan> {
        let aside = PutAside::open(&self.shelves, replaced).await?;
        self.shelves.make().await?;
        merge::plan(&self.shelves, Wanting::Replaced(Box::new(aside))).await
    }

    async fn publish_new(&self) -> Result<()> {
        let record = self.record().await?.ok_or(Error::Stopped { what: "the plan of an import" })?;
        if self.note(NEW).await?.is_some() {
            return Ok(());
        }
        self.shelves.write_note(BEGUN, Bytes::from_static(b"0")).await?;
        let left = self.for_lines(&record, Work::PublishNew).await?;
        self.shelves.sync().await?;
        write_count(&self.shelves, NEW, left).await
    }

    async fn publish_rest(&self, replaced: Replaced) -> Result<u64> {
        let Some(record) = self.record().await? else {
            // It was all done before, and is being taken away.
            if replaced == Replaced::Dropped {
                self.clear().await?;
            }
            return Ok(0);
        };
        let left = match self.note(PUBLISHED).await? {
            Some(left) => left,
            None => {
                self.publish_new().await?;
                let mut left = self.note(NEW).await?.unwrap_or_default();
                left += self.for_lines(&record, Work::Replace(replaced)).await?;
                if record.late > 0 {
                    left += self.for_lines(&record, Work::PublishLate).await?;
                }
                self.shelves.sync().await?;
                write_count(&self.shelves, PUBLISHED, left).await?;
                left
            }
        };
        match replaced {
            Replaced::Kept => self.release(&record).await?,
            Replaced::Dropped => self.clear().await?,
        }
        Ok(left)
    }

    async fn roll_back(&self) -> Result<()> {
        if let Some(record) = self.record().await?
            && self.note(BEGUN).await?.is_some()
        {
            self.for_lines(&record, Work::TakeBack).await?;
        }
        self.shelves.tidy().await?;
        self.clear().await
    }

    async fn kept_bytes(&self) -> Result<u64> {
        let kept = self.size_bytes(Shelf::Kept(self.import.clone())).await?;
        Ok(kept + self.size_bytes(Shelf::New(self.import.clone())).await?)
    }

    async fn drop_kept(&self) -> Result<()> {
        self.clear().await
    }
}
