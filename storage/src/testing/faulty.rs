//! A store that fails where a test wants it to.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::{
    Blueprint, Buffers, Database, Dump, Error, Import, ImportId, Listing, Load, Loaded, Object, ObjectBody, ObjectKey,
    ObjectMeta, ObjectStore, ObjectSwap, Occupancy, Replaced, Result, RowChunk, StagedObjects, SwapPlan, TableSummary,
};

/// Where it fails. Calls are counted from 0, over all uses of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// A chunk of a dump.
    Chunk(u64),
    /// A write of a load.
    Write(u64),
    /// The end of a load.
    Finish,
    /// A commit of a database or of staged objects, before it does anything.
    Commit,
    /// A page of a listing.
    Page(u64),
    /// The opening of an object.
    Get(u64),
    /// A byte of the bodies read: those before it come through.
    GetByte(u64),
    /// An object stored or staged: the call fails before it does anything.
    Put(u64),
}

/// A failure that waits for its place.
#[derive(Clone)]
pub struct Fault {
    point: FaultPoint,
    passed: Arc<AtomicU64>,
    error: Arc<dyn Fn() -> Error + Send + Sync>,
}

impl Fault {
    /// Fails once at the point, with the error.
    pub fn new(point: FaultPoint, error: impl Fn() -> Error + Send + Sync + 'static) -> Self {
        Self { point, passed: Arc::default(), error: Arc::new(error) }
    }

    /// Counts a call of the kind that `make` makes, and fails if it is the one.
    fn call(&self, make: fn(u64) -> FaultPoint) -> Result<()> {
        let is_kind = std::mem::discriminant(&make(0)) == std::mem::discriminant(&self.point);
        if is_kind && make(self.passed.fetch_add(1, Ordering::SeqCst)) == self.point {
            Err((self.error)())
        } else {
            Ok(())
        }
    }

    /// Counts a piece of a body, and cuts it where it is to fail: what comes through, and the failure.
    fn bytes(&self, mut piece: Bytes) -> Vec<Result<Bytes>> {
        let FaultPoint::GetByte(at) = self.point else { return vec![Ok(piece)] };
        let length = piece.len() as u64;
        let before = self.passed.fetch_add(length, Ordering::SeqCst);
        match at.checked_sub(before) {
            Some(left) if left < length => {
                piece.truncate(usize::try_from(left).unwrap_or_default());
                let whole = (!piece.is_empty()).then_some(Ok(piece));
                whole.into_iter().chain([Err((self.error)())]).collect()
            }
            _ => vec![Ok(piece)],
        }
    }
}

/// A database or object store that fails at one point and else does what the one inside does.
#[derive(Clone)]
pub struct Faulty<T> {
    inner: T,
    fault: Fault,
}

impl<T> Faulty<T> {
    /// Wraps a store.
    pub fn new(inner: T, fault: Fault) -> Self {
        Self { inner, fault }
    }
}

#[async_trait]
impl<D: Database> Database for Faulty<D> {
    async fn occupancy(&self) -> Result<Occupancy> {
        self.inner.occupancy().await
    }

    async fn dump(&self) -> Result<Box<dyn Dump>> {
        Ok(Box::new(Faulty::new(self.inner.dump().await?, self.fault.clone())))
    }

    async fn load_for(&self, blueprint: Blueprint, import: &Import) -> Result<Box<dyn Load>> {
        Ok(Box::new(Faulty::new(self.inner.load_for(blueprint, import).await?, self.fault.clone())))
    }

    async fn bring_back(&self, replaced: &ImportId, import: &Import) -> Result<Box<dyn Loaded>> {
        Ok(Box::new(Faulty::new(self.inner.bring_back(replaced, import).await?, self.fault.clone())))
    }

    async fn has_landed(&self, import: &Import, mark: &str) -> Result<bool> {
        self.inner.has_landed(import, mark).await
    }

    async fn roll_back(&self, import: &Import) -> Result<()> {
        self.inner.roll_back(import).await
    }

    async fn settle(&self, import: &Import) -> Result<()> {
        self.inner.settle(import).await
    }

    async fn replaced_bytes(&self, import: &ImportId) -> Result<Option<u64>> {
        self.inner.replaced_bytes(import).await
    }

    async fn drop_replaced(&self, import: &ImportId) -> Result<()> {
        self.inner.drop_replaced(import).await
    }
}

#[async_trait]
impl Dump for Faulty<Box<dyn Dump>> {
    fn blueprint(&self) -> &Blueprint {
        self.inner.blueprint()
    }

    fn sequences(&self) -> Bytes {
        self.inner.sequences()
    }

    async fn next(&mut self) -> Result<Option<RowChunk>> {
        self.fault.call(FaultPoint::Chunk)?;
        self.inner.next().await
    }

    fn notices(&mut self) -> Vec<String> {
        self.inner.notices()
    }
}

#[async_trait]
impl Load for Faulty<Box<dyn Load>> {
    async fn write(&mut self, table: &str, bytes: Bytes) -> Result<()> {
        self.fault.call(FaultPoint::Write)?;
        self.inner.write(table, bytes).await
    }

    async fn finish(&mut self, sequences: Bytes) -> Result<Box<dyn Loaded>> {
        self.fault.call(|_| FaultPoint::Finish)?;
        let loaded = self.inner.finish(sequences).await?;
        Ok(Box::new(Faulty::new(loaded, self.fault.clone())))
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.inner.discard().await
    }
}

#[async_trait]
impl Loaded for Faulty<Box<dyn Loaded>> {
    fn tables(&self) -> &[TableSummary] {
        self.inner.tables()
    }

    async fn prepare(&mut self) -> Result<()> {
        self.inner.prepare().await
    }

    async fn mark(&mut self) -> Result<String> {
        self.inner.mark().await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.fault.call(|_| FaultPoint::Commit)?;
        self.inner.commit().await
    }

    async fn discard(self: Box<Self>) -> Result<()> {
        self.inner.discard().await
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Faulty<S> {
    async fn is_empty(&self) -> Result<bool> {
        self.inner.is_empty().await
    }

    async fn list(&self) -> Result<Box<dyn Listing>> {
        Ok(Box::new(Faulty::new(self.inner.list().await?, self.fault.clone())))
    }

    async fn get(&self, key: &ObjectKey) -> Result<Object> {
        self.fault.call(FaultPoint::Get)?;
        let Object { meta, body } = self.inner.get(key).await?;
        let fault = self.fault.clone();
        let cut = move |piece: Result<Bytes>| {
            stream::iter(piece.map_or_else(|error| vec![Err(error)], |piece| fault.bytes(piece)))
        };
        Ok(Object { meta, body: body.flat_map(cut).boxed() })
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.fault.call(FaultPoint::Put)?;
        self.inner.put(key, meta, body).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.inner.delete(key).await
    }

    fn keeps(&self, meta: &ObjectMeta) -> bool {
        self.inner.keeps(meta)
    }

    fn at_once(&self) -> usize {
        self.inner.at_once()
    }

    fn staging_bytes(&self) -> u64 {
        self.inner.staging_bytes()
    }

    async fn stage(&self, memory: &Buffers) -> Result<Arc<dyn StagedObjects>> {
        Ok(Arc::new(Faulty::new(self.inner.stage(memory).await?, self.fault.clone())))
    }

    fn swap(&self, import: &Import, memory: &Buffers) -> Arc<dyn ObjectSwap> {
        Arc::new(Faulty::new(self.inner.swap(import, memory), self.fault.clone()))
    }
}

#[async_trait]
impl Listing for Faulty<Box<dyn Listing>> {
    async fn next_page(&mut self) -> Result<Vec<crate::Listed>> {
        self.fault.call(FaultPoint::Page)?;
        self.inner.next_page().await
    }
}

#[async_trait]
impl StagedObjects for Faulty<Arc<dyn StagedObjects>> {
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.fault.call(FaultPoint::Put)?;
        self.inner.put(key, meta, body).await
    }

    async fn commit(&self) -> Result<()> {
        self.fault.call(|_| FaultPoint::Commit)?;
        self.inner.commit().await
    }

    async fn discard(&self) -> Result<()> {
        self.inner.discard().await
    }
}

#[async_trait]
impl ObjectSwap for Faulty<Arc<dyn ObjectSwap>> {
    async fn begin(&self) -> Result<()> {
        self.inner.begin().await
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.fault.call(FaultPoint::Put)?;
        self.inner.put(key, meta, body).await
    }

    async fn plan(&self) -> Result<SwapPlan> {
        self.inner.plan().await
    }

    async fn plan_back(&self, replaced: &ImportId) -> Result<SwapPlan> {
        self.inner.plan_back(replaced).await
    }

    async fn publish_new(&self) -> Result<()> {
        self.fault.call(|_| FaultPoint::Commit)?;
        self.inner.publish_new().await
    }

    async fn publish_rest(&self, replaced: Replaced) -> Result<u64> {
        self.inner.publish_rest(replaced).await
    }

    async fn roll_back(&self) -> Result<()> {
        self.inner.roll_back().await
    }

    async fn kept_bytes(&self) -> Result<u64> {
        self.inner.kept_bytes().await
    }

    async fn drop_kept(&self) -> Result<()> {
        self.inner.drop_kept().await
    }
}
