//! A process that is killed at each call that a swap makes of its store, before it or right after.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;

use super::*;
use crate::{
    Import, ImportId, Landing, ObjectBody, ObjectSwap, Replaced,
    object::{
        local::shelves::LocalShelves,
        swap::{Coming, Copied, FoundPages, Over, Replacing, Room, Shelf, Shelves, Stamp},
    },
};

/// Comes to its end at a call.
struct Mortal {
    inner: LocalShelves,
    calls_left: AtomicU32,
    is_done: bool,
}

impl Mortal {
    async fn call<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let killed = || Error::Stopped { what: "a test" };
        let left = self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Err(_) => Err(killed()),
            Ok(1) if self.is_done => work.await.and(Err(killed())),
            Ok(1) => Err(killed()),
            Ok(_) => work.await,
        }
    }
}

#[async_trait]
impl Shelves for Mortal {
    fn at_once(&self) -> usize {
        1
    }
    async fn make(&self) -> Result<()> {
        self.call(self.inner.make()).await
    }
    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        self.call(self.inner.put(key, meta, body)).await
    }
    async fn list(&self, shelf: &Shelf) -> Result<Box<dyn FoundPages>> {
        self.inner.list(shelf).await
    }
    async fn look(&self, shelf: &Shelf, key: &ObjectKey) -> Result<Option<Stamp>> {
        self.inner.look(shelf, key).await
    }
    async fn room(&self, key: &ObjectKey) -> Result<Room> {
        self.inner.room(key).await
    }
    async fn is_same(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool> {
        self.inner.is_same(key, coming, live).await
    }
    async fn is_copy(&self, key: &ObjectKey, coming: &Coming, live: &Stamp) -> Result<bool> {
        self.inner.is_copy(key, coming, live).await
    }
    fn check_kept(&self, key: &ObjectKey) -> Result<()> {
        self.inner.check_kept(key)
    }
    async fn copy(&self, key: &ObjectKey, from: &Coming, to: &Shelf, over: Over) -> Result<Copied> {
        self.call(self.inner.copy(key, from, to, over)).await
    }
    async fn delete(&self, shelf: &Shelf, keys: Vec<ObjectKey>) -> Result<()> {
        self.call(self.inner.delete(shelf, keys)).await
    }
    async fn take_back(&self, key: &ObjectKey, folders: u32) -> Result<()> {
        self.call(self.inner.take_back(key, folders)).await
    }
    async fn write_note(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.call(self.inner.write_note(name, bytes)).await
    }
    async fn read_note(&self, import: &ImportId, name: &str) -> Result<Option<Bytes>> {
        self.inner.read_note(import, name).await
    }
    async fn remove_note(&self, name: &str) -> Result<()> {
        self.call(self.inner.remove_note(name)).await
    }
    async fn sync(&self) -> Result<()> {
        Ok(())
    }
    async fn tidy(&self) -> Result<()> {
        self.call(self.inner.tidy()).await
    }
    async fn clear(&self) -> Result<()> {
        self.call(self.inner.clear()).await
    }
}

/// An app's folder and the imports that come to it.
struct Bench {
    base: TempDir,
    root: PathBuf,
    store: LocalFolder,
}

const OLD: [(&str, &str); 6] =
    [("a", "file"), ("changed", "old"), ("gone", "old"), ("same", "same"), ("x/changed", "old"), ("x/gone", "old")];
const NEW: [(&str, &str); 6] = [
    ("a/b", "in a folder"),
    ("changed", "new"),
    ("f/g/new", "new"),
    ("same", "same"),
    ("x/changed", "n"),
    ("x/new", "new"),
];

impl Bench {
    fn new() -> Self {
        let (base, root, store) = folder();
        for (name, body) in OLD {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, body).unwrap();
        }
        Self { base, root, store }
    }

    fn mortal(&self, id: &ImportId, calls: u32, is_done: bool) -> Replacing<Mortal> {
        let inner = LocalShelves::new(self.root.clone(), id.clone());
        Replacing::new(Mortal { inner, calls_left: AtomicU32::new(calls), is_done }, id.clone())
    }

    fn swap(&self, id: &ImportId) -> std::sync::Arc<dyn ObjectSwap> {
        let import = Import { id: id.clone(), landing: Landing::Replace };
        self.store.swap(&import, &Buffers::new(1 << 20))
    }

    fn body(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join(name)).ok()
    }

    async fn assert_is(&self, wanted: &[(&str, &str)], when: &str) {
        let keys: Vec<_> = wanted.iter().map(|(name, _)| key(name)).collect();
        assert_eq!(list(&self.store).await.unwrap(), keys, "{when}");
        for (name, body) in wanted {
            assert_eq!(self.body(name).as_deref(), Some(*body), "{when}: {name}");
        }
    }

    /// Whatever old and new rows both name is there, as one of the two.
    fn assert_never_misses(&self, when: &str) {
        for (name, old) in OLD {
            if let Some((_, new)) = NEW.iter().find(|(other, _)| *other == name) {
                let found = self.body(name);
                assert!(found.as_deref() == Some(old) || found.as_deref() == Some(new), "{when}: {name} is {found:?}");
            }
        }
    }

    fn assert_clean(&self, when: &str) {
        let left = names(self.base.path());
        assert!(!left.iter().any(|name| name.contains(".coffer-")), "{when}: {left:?}");
    }
}

async fn until_new(swap: &dyn ObjectSwap) -> Result<()> {
    swap.begin().await?;
    for (name, body) in NEW {
        let meta = ObjectMeta { size: body.len() as u64, ..ObjectMeta::default() };
        swap.put(&key(name), meta, stream::once(async move { Ok(Bytes::from_static(body.as_bytes())) }).boxed())
            .await?;
    }
    swap.plan().await?;
    swap.publish_new().await
}

async fn undo_until_new(swap: &dyn ObjectSwap, of: &ImportId) -> Result<()> {
    swap.plan_back(of).await?;
    swap.publish_new().await
}

#[tokio::test]
async fn a_killed_import_is_taken_back_from_anywhere() {
    for is_done in [false, true] {
        for calls in 1.. {
            let (bench, id) = (Bench::new(), ImportId::random().unwrap());
            let before = names(bench.base.path());
            let when = format!("killed at call {calls}, {is_done}");
            let ended = until_new(&bench.mortal(&id, calls, is_done)).await;
            for (name, body) in OLD {
                assert_eq!(bench.body(name).as_deref(), Some(body), "{when}: {name}");
            }
            // Killed again while it is taken back, at each call in turn.
            for again in 1.. {
                let back = bench.mortal(&id, again, is_done).roll_back().await;
                if back.is_ok() {
                    break;
                }
            }
            bench.assert_is(&OLD, &when).await;
            assert_eq!(names(bench.base.path()), before, "{when}");
            if ended.is_ok() {
                assert!(calls > 10, "{calls} calls");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_killed_import_goes_on_from_anywhere() {
    for (is_done, replaced) in
        [(false, Replaced::Kept), (true, Replaced::Kept), (false, Replaced::Dropped), (true, Replaced::Dropped)]
    {
        for calls in 1.. {
            let (bench, id) = (Bench::new(), ImportId::random().unwrap());
            let when = format!("killed at call {calls}, {is_done}, {replaced:?}");
            until_new(&*bench.swap(&id)).await.unwrap();
            let ended = bench.mortal(&id, calls, is_done).publish_rest(replaced).await;
            bench.assert_never_misses(&when);
            for again in 1.. {
                if bench.mortal(&id, again, is_done).publish_rest(replaced).await.is_ok() {
                    break;
                }
                bench.assert_never_misses(&when);
            }
            bench.assert_is(&NEW, &when).await;
            assert_eq!(bench.swap(&id).publish_rest(replaced).await.unwrap(), 0, "{when}");
            if replaced == Replaced::Kept {
                let undo = ImportId::random().unwrap();
                undo_until_new(&bench.mortal(&undo, calls, is_done), &id).await.ok();
                bench.swap(&undo).roll_back().await.unwrap();
                bench.assert_is(&NEW, &when).await;
                undo_until_new(&*bench.swap(&undo), &id).await.unwrap();
                bench.mortal(&undo, calls, is_done).publish_rest(Replaced::Dropped).await.ok();
                bench.swap(&undo).publish_rest(Replaced::Dropped).await.unwrap();
                bench.assert_is(&OLD, &when).await;
                bench.swap(&id).drop_kept().await.unwrap();
            }
            bench.assert_clean(&when);
            if ended.is_ok() {
                assert!(calls > 8);
                break;
            }
        }
    }
}
