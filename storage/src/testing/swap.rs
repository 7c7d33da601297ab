//! What every object store must do for an import, step by step, with a crash after each.
#![expect(
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "a suite fails by panicking, and stays on its test's thread"
)]

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{StoreKind, expect_traces};
use crate::{
    Buffers, Error, Import, ImportId, Landing, ObjectKey, ObjectMeta, ObjectStore, ObjectSwap, Replaced, SwapPlan,
};

/// More than two blocks of a plan.
const MANY: usize = 2_500;

/// Objects by their keys.
type Objects = BTreeMap<ObjectKey, Vec<u8>>;

/// Runs the suite. `awkward` are keys beyond those that every store must take.
pub async fn object_swap_conformance<S: ObjectStore>(
    fresh: impl Fn() -> S,
    awkward: &[&[u8]],
    kind: StoreKind,
    traces: impl Fn() -> Vec<String>,
) {
    for stop in 0..=Step::ALL.len() {
        crash_after(&fresh(), stop, awkward, &traces).await;
    }
    users_write(&fresh()).await;
    users_write_and_it_is_taken_back(&fresh(), &traces).await;
    undone(&fresh(), awkward, &traces).await;
    many(&fresh(), &traces).await;
    others(&fresh(), kind).await;
    for stop in 0..4 {
        new_after(&fresh(), stop, &traces).await;
    }
    new_and_taken(&fresh(), kind, &traces).await;
}

/// What an import does, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    PutSome,
    PutRest,
    Plan,
    PublishNew,
    PublishRest,
}

impl Step {
    const ALL: [Self; 6] = [Self::Begin, Self::PutSome, Self::PutRest, Self::Plan, Self::PublishNew, Self::PublishRest];
}

fn key(bytes: impl AsRef<[u8]>) -> ObjectKey {
    ObjectKey::try_from(bytes.as_ref()).unwrap()
}

fn objects(pairs: &[(&[u8], &[u8])]) -> Objects {
    pairs.iter().map(|(name, body)| (key(name), body.to_vec())).collect()
}

/// The app before, and after: what is the same, changed, gone and new.
fn before_and_after(awkward: &[&[u8]]) -> (Objects, Objects) {
    let mut old = objects(&[(b"a/changed", b"old"), (b"a/gone", b"gone"), (b"same", b"same"), (b"z/gone", b"")]);
    let mut new = objects(&[(b"a/changed", b"new"), (b"b/c/new", b"new"), (b"same", b"same"), (b"z/new", b"")]);
    for (at, name) in awkward.iter().enumerate() {
        if at % 3 != 0 {
            old.insert(key(name), b"old and awkward".to_vec());
        }
        if at % 3 != 1 {
            new.insert(key(name), b"new and awkward".to_vec());
        }
    }
    (old, new)
}

fn meta(size: usize) -> ObjectMeta {
    ObjectMeta { size: size as u64, modified: Some(1_234_567_890), ..ObjectMeta::default() }
}

async fn store_all(store: &impl ObjectStore, objects: &Objects) {
    for (key, body) in objects {
        let body = Bytes::from(body.clone());
        store.put(key, meta(body.len()), stream::once(async { Ok(body) }).boxed()).await.unwrap();
    }
}

async fn put_all(swap: &dyn ObjectSwap, objects: &Objects) {
    for (key, body) in objects {
        let body = Bytes::from(body.clone());
        swap.put(key, meta(body.len()), stream::once(async { Ok(body) }).boxed()).await.unwrap();
    }
}

/// All that the app's users see.
async fn seen(store: &impl ObjectStore) -> Objects {
    let (mut found, mut listing) = (Objects::new(), store.list().await.unwrap());
    loop {
        let page = listing.next_page().await.unwrap();
        if page.is_empty() {
            return found;
        }
        for line in page {
            let mut object = store.get(&line.key).await.unwrap();
            let mut bytes = Vec::new();
            while let Some(piece) = object.body.next().await {
                bytes.extend_from_slice(&piece.unwrap());
            }
            found.insert(line.key, bytes);
        }
    }
}

fn import(landing: Landing) -> Import {
    Import { id: ImportId::random().unwrap(), landing }
}

/// The objects of an import for a process that has seen nothing of it.
fn swap(store: &impl ObjectStore, import: &Import) -> Arc<dyn ObjectSwap> {
    store.swap(import, &Buffers::new(8 << 20))
}

fn counts(old: &Objects, new: &Objects) -> SwapPlan {
    let count = |is: &dyn Fn(&ObjectKey) -> bool| {
        old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).filter(|key| is(key)).count() as u64
    };
    let is_replaced = |key: &ObjectKey| old.get(key).is_some_and(|body| new.get(key) != Some(body));
    SwapPlan {
        new: count(&|key| !old.contains_key(key)),
        changed: count(&|key| is_replaced(key) && new.contains_key(key)),
        same: count(&|key| old.contains_key(key) && old.get(key) == new.get(key)),
        gone: count(&|key| !new.contains_key(key)),
        replaced_bytes: old.iter().filter(|(key, _)| is_replaced(key)).map(|(_, body)| body.len() as u64).sum(),
    }
}

async fn step(store: &impl ObjectStore, swap: &dyn ObjectSwap, step: Step, old: &Objects, new: &Objects) {
    let half = new.keys().nth(new.len() / 2).unwrap().clone();
    match step {
        Step::Begin => swap.begin().await.unwrap(),
        Step::PutSome => {
            // What fails on its way leaves nothing, and what comes again replaces what came.
            let short = stream::once(async { Ok(Bytes::from_static(b"x")) }).boxed();
            swap.put(&half, meta(2), short).await.unwrap_err();
            let other = stream::once(async { Ok(Bytes::from_static(b"another")) }).boxed();
            swap.put(&half, meta(7), other).await.unwrap();
        }
        Step::PutRest => put_all(swap, new).await,
        Step::Plan => assert_eq!(swap.plan().await.unwrap(), counts(old, new)),
        Step::PublishNew => swap.publish_new().await.unwrap(),
        Step::PublishRest => assert_eq!(swap.publish_rest(Replaced::Kept).await.unwrap(), 0),
    }
    let seen = seen(store).await;
    match step {
        Step::PublishRest => assert_eq!(seen, *new),
        Step::PublishNew => {
            assert!(old.iter().all(|(key, body)| seen.get(key) == Some(body)), "an old one is missing");
            assert!(new.iter().all(|(key, body)| old.contains_key(key) || seen.get(key) == Some(body)));
        }
        _ => assert_eq!(seen, *old),
    }
}

/// A crash after so many steps, and what is made of it.
async fn crash_after(store: &impl ObjectStore, stop: usize, awkward: &[&[u8]], traces: &impl Fn() -> Vec<String>) {
    let (old, new) = before_and_after(awkward);
    store_all(store, &old).await;
    let before = traces();
    for is_landed in [false, true] {
        let done = Step::ALL.iter().take(stop).next_back();
        // What has landed is not taken back; and the rows are not swapped before all new ones are there.
        let can_be = match done {
            Some(Step::PublishRest) => is_landed,
            Some(Step::PublishNew) => true,
            _ => !is_landed,
        };
        if !can_be {
            continue;
        }
        let import = import(Landing::Replace);
        let first = swap(store, &import);
        for next in Step::ALL.iter().take(stop) {
            step(store, &*first, *next, &old, &new).await;
        }
        drop(first);
        if is_landed {
            for _ in 0..2 {
                assert_eq!(swap(store, &import).publish_rest(Replaced::Kept).await.unwrap(), 0);
                assert_eq!(seen(store).await, new);
            }
            let kept = counts(&old, &new).replaced_bytes + 4;
            assert_eq!(swap(store, &import).kept_bytes().await.unwrap(), kept);
            for _ in 0..2 {
                swap(store, &import).drop_kept().await.unwrap();
            }
            assert_eq!(swap(store, &import).kept_bytes().await.unwrap(), 0);
            assert_eq!(seen(store).await, new);
            for key in new.keys() {
                store.delete(key).await.unwrap();
            }
            assert!(store.is_empty().await.unwrap());
            assert!(!traces().iter().any(|name| name.contains(import.id.as_str())), "{:?}", traces());
        } else {
            for _ in 0..2 {
                swap(store, &import).roll_back().await.unwrap();
                assert_eq!(seen(store).await, old, "after {done:?}");
            }
            expect_traces(traces, &before, "what was taken back").await;
        }
    }
}

async fn put(store: &impl ObjectStore, name: &str, body: &'static [u8]) {
    store_all(store, &objects(&[(name.as_bytes(), body)])).await;
}

/// What users write in the meantime stays, and is told.
async fn users_write(store: &impl ObjectStore) {
    let old = objects(&[(b"changed", b"old"), (b"deleted", b"old"), (b"gone", b"old"), (b"gone too", b"old")]);
    let new = objects(&[(b"changed", b"new"), (b"deleted", b"new"), (b"new", b"new"), (b"new too", b"new")]);
    store_all(store, &old).await;
    let import = import(Landing::Replace);
    let swapped = swap(store, &import);
    swapped.begin().await.unwrap();
    put_all(&*swapped, &new).await;
    swapped.plan().await.unwrap();
    put(store, "new", b"user's").await;
    swapped.publish_new().await.unwrap();
    put(store, "changed", b"user's").await;
    put(store, "gone", b"user's").await;
    put(store, "more", b"user's").await;
    store.delete(&key("deleted")).await.unwrap();
    for _ in 0..2 {
        assert_eq!(swap(store, &import).publish_rest(Replaced::Kept).await.unwrap(), 4);
        let theirs = b"user's".as_slice();
        let wanted = [
            (b"changed".as_slice(), theirs),
            (b"gone", theirs),
            (b"more", theirs),
            (b"new", theirs),
            (b"new too", b"new"),
        ];
        assert_eq!(seen(store).await, objects(&wanted));
    }
    // Nobody knows what the app had there; an undo leaves it.
    let undo = Import { id: ImportId::random().unwrap(), landing: Landing::Replace };
    let undoing = swap(store, &undo);
    undoing.plan_back(&import.id).await.unwrap();
    undoing.publish_new().await.unwrap();
    assert_eq!(undoing.publish_rest(Replaced::Dropped).await.unwrap(), 0);
    let found = seen(store).await;
    for name in ["changed", "gone"] {
        assert_eq!(found.get(&key(name)).unwrap(), b"user's");
    }
    assert_eq!(found.get(&key("gone too")).unwrap(), b"old");
    swap(store, &import).drop_kept().await.unwrap();
}

/// What is taken back is ours alone.
async fn users_write_and_it_is_taken_back(store: &impl ObjectStore, traces: &impl Fn() -> Vec<String>) {
    store_all(store, &objects(&[(b"old", b"old")])).await;
    let import = import(Landing::Replace);
    let swapped = swap(store, &import);
    swapped.begin().await.unwrap();
    put_all(&*swapped, &objects(&[(b"before", b"new"), (b"after", b"new"), (b"f/new", b"new")])).await;
    swapped.plan().await.unwrap();
    put(store, "before", b"user's").await;
    swapped.publish_new().await.unwrap();
    put(store, "after", b"user's").await;
    swap(store, &import).roll_back().await.unwrap();
    let wanted = [(b"old".as_slice(), b"old".as_slice()), (b"before", b"user's"), (b"after", b"user's")];
    assert_eq!(seen(store).await, objects(&wanted));
    assert!(!traces().iter().any(|name| name.contains(import.id.as_str())), "{:?}", traces());
}

/// An undo, and its undo, and that they can be taken back half-way.
async fn undone(store: &impl ObjectStore, awkward: &[&[u8]], traces: &impl Fn() -> Vec<String>) {
    let (old, new) = before_and_after(awkward);
    store_all(store, &old).await;
    let imports = [(); 3].map(|()| import(Landing::Replace));
    let [first, undo, redo] = &imports;
    let swapped = swap(store, first);
    swapped.begin().await.unwrap();
    put_all(&*swapped, &new).await;
    swapped.plan().await.unwrap();
    swapped.publish_new().await.unwrap();
    swapped.publish_rest(Replaced::Kept).await.unwrap();
    let unknown = swap(store, undo).plan_back(&redo.id).await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
    let kept = traces();
    for (by, of, from, to) in [(undo, first, &new, &old), (redo, undo, &old, &new)] {
        for is_given_up in [true, false] {
            let swapped = swap(store, by);
            swapped.begin().await.unwrap();
            assert_eq!(swapped.plan_back(&of.id).await.unwrap(), counts(from, to));
            assert_eq!(seen(store).await, *from);
            swapped.publish_new().await.unwrap();
            if is_given_up {
                swap(store, by).roll_back().await.unwrap();
                assert_eq!(seen(store).await, *from);
                if by == undo {
                    expect_traces(traces, &kept, "an undo that was taken back").await;
                }
                continue;
            }
            assert_eq!(swap(store, by).publish_rest(Replaced::Kept).await.unwrap(), 0);
            assert_eq!(seen(store).await, *to);
            swap(store, of).drop_kept().await.unwrap();
            assert_eq!(seen(store).await, *to);
        }
        // What was the same all the time can be brought back as well.
        store.delete(&key("same")).await.unwrap();
        let back = import(Landing::Replace);
        let swapped = swap(store, &back);
        swapped.plan_back(&by.id).await.unwrap();
        swapped.publish_new().await.unwrap();
        assert_eq!(swapped.publish_rest(Replaced::Dropped).await.unwrap(), 0);
        assert_eq!(seen(store).await, *from);
        store_all(store, to).await;
        for gone in from.keys().filter(|key| !to.contains_key(*key)) {
            store.delete(gone).await.unwrap();
        }
    }
    swap(store, redo).drop_kept().await.unwrap();
    let left = traces();
    assert!(!imports.iter().any(|import| left.iter().any(|name| name.contains(import.id.as_str()))), "{left:?}");
}

/// A plan of several blocks.
async fn many(store: &impl ObjectStore, traces: &impl Fn() -> Vec<String>) {
    let body = |n: usize| vec![b'x'; n % 3];
    let old: Objects = (0..MANY).map(|n| (key(format!("{}/{n:05}", n % 7)), body(n))).collect();
    let new: Objects = (MANY / 3..MANY + MANY / 3).map(|n| (key(format!("{}/{n:05}", n % 7)), body(n / 2))).collect();
    fill(&old, async |one| store_all(store, &one).await).await;
    let import = import(Landing::Replace);
    let swapped = swap(store, &import);
    swapped.begin().await.unwrap();
    fill(&new, async |one| put_all(&*swapped, &one).await).await;
    assert_eq!(swapped.plan().await.unwrap(), counts(&old, &new));
    let published = {
        swapped.publish_new().await.unwrap();
        lengths(store).await
    };
    assert!(old.keys().chain(new.keys()).all(|key| published.contains_key(key)));
    assert_eq!(swapped.publish_rest(Replaced::Dropped).await.unwrap(), 0);
    let lengths_of = |objects: &Objects| objects.iter().map(|(key, body)| (key.clone(), body.len() as u64)).collect();
    let wanted: BTreeMap<_, _> = lengths_of(&new);
    assert!(lengths(store).await == wanted);
    assert!(!traces().iter().any(|name| name.contains(import.id.as_str())), "{:?}", traces());
    assert_eq!(swap(store, &import).publish_rest(Replaced::Dropped).await.unwrap(), 0);
}

/// Does it for each of them, several at once.
async fn fill(objects: &Objects, work: impl AsyncFn(Objects)) {
    let work = &work;
    let each = stream::iter(objects).map(|(key, body)| work([(key.clone(), body.clone())].into()));
    each.buffer_unordered(32).for_each(|()| async {}).await;
}

async fn lengths(store: &impl ObjectStore) -> BTreeMap<ObjectKey, u64> {
    let (mut found, mut listing) = (BTreeMap::new(), store.list().await.unwrap());
    loop {
        let page = listing.next_page().await.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page.into_iter().map(|line| (line.key, line.size)));
    }
}

/// What is peculiar to a kind: a folder where a file was, and the other way round; metadata that alone is another.
async fn others(store: &impl ObjectStore, kind: StoreKind) {
    match kind {
        StoreKind::Folder => {
            let old = objects(&[(b"a", b"file"), (b"b/c/d", b"in a folder"), (b"e", b"e")]);
            let new = objects(&[(b"a/x", b"in a folder"), (b"b", b"file"), (b"e", b"e")]);
            store_all(store, &old).await;
            let import = import(Landing::Replace);
            let swapped = swap(store, &import);
            for next in [Step::Begin, Step::PutRest, Step::Plan] {
                step(store, &*swapped, next, &old, &new).await;
            }
            swapped.publish_new().await.unwrap();
            assert_eq!(seen(store).await, old);
            assert_eq!(swap(store, &import).publish_rest(Replaced::Kept).await.unwrap(), 0);
            assert_eq!(seen(store).await, new);
            swap(store, &import).drop_kept().await.unwrap();
        }
        StoreKind::Bucket => {
            put(store, "a", b"the same").await;
            let import = import(Landing::Replace);
            let swapped = swap(store, &import);
            swapped.begin().await.unwrap();
            let user = BTreeMap::from([("owner".to_owned(), "somebody".to_owned())]);
            let body = stream::once(async { Ok(Bytes::from_static(b"the same")) }).boxed();
            swapped.put(&key("a"), ObjectMeta { user: user.clone(), ..meta(8) }, body).await.unwrap();
            let plan = swapped.plan().await.unwrap();
            assert_eq!((plan.changed, plan.same), (1, 0));
            swapped.publish_new().await.unwrap();
            for _ in 0..2 {
                assert_eq!(swap(store, &import).publish_rest(Replaced::Kept).await.unwrap(), 0);
                assert_eq!(store.get(&key("a")).await.unwrap().meta.user, user);
            }
            let undo = Import { id: ImportId::random().unwrap(), landing: Landing::Replace };
            let undoing = swap(store, &undo);
            undoing.plan_back(&import.id).await.unwrap();
            undoing.publish_new().await.unwrap();
            assert_eq!(undoing.publish_rest(Replaced::Dropped).await.unwrap(), 0);
            assert!(store.get(&key("a")).await.unwrap().meta.user.is_empty());
            swap(store, &import).drop_kept().await.unwrap();
        }
    }
}

/// An import where nothing is, and a crash after so many steps.
async fn new_after(store: &impl ObjectStore, stop: usize, traces: &impl Fn() -> Vec<String>) {
    let before = traces();
    let (_, new) = before_and_after(&[]);
    for is_crash in [true, false] {
        let import = import(Landing::New);
        let first = swap(store, &import);
        first.begin().await.unwrap();
        if stop > 0 {
            put_all(&*first, &new).await;
        }
        if stop > 1 {
            let plan = SwapPlan { new: new.len() as u64, ..SwapPlan::default() };
            assert_eq!(first.plan().await.unwrap(), plan);
        }
        if stop > 2 {
            first.publish_new().await.unwrap();
            assert_eq!(seen(store).await, new);
        }
        for _ in 0..2 {
            let back = if is_crash { swap(store, &import) } else { Arc::clone(&first) };
            back.roll_back().await.unwrap();
            assert!(store.is_empty().await.unwrap());
        }
        expect_traces(traces, &before, "an import into a new place that was taken back").await;
    }
    // One without any object leaves none, not even a folder.
    let import = import(Landing::New);
    let swapped = swap(store, &import);
    swapped.begin().await.unwrap();
    assert_eq!(swapped.plan().await.unwrap(), SwapPlan::default());
    swapped.publish_new().await.unwrap();
    for _ in 0..2 {
        assert_eq!(swap(store, &import).publish_rest(Replaced::Kept).await.unwrap(), 0);
    }
    expect_traces(traces, &before, "an import of no object").await;
}

/// It goes where nothing is alone, and stays from when it has landed.
async fn new_and_taken(store: &impl ObjectStore, kind: StoreKind, traces: &impl Fn() -> Vec<String>) {
    let (_, new) = before_and_after(&[]);
    let [first, second] = [(); 2].map(|()| import(Landing::New));
    let swapped = swap(store, &first);
    swapped.begin().await.unwrap();
    put_all(&*swapped, &new).await;
    let late = swap(store, &second);
    match kind {
        StoreKind::Bucket => assert!(matches!(late.begin().await, Err(Error::Taken { .. }))),
        StoreKind::Folder => late.begin().await.unwrap(),
    }
    swapped.plan().await.unwrap();
    swapped.publish_new().await.unwrap();
    for _ in 0..2 {
        assert_eq!(swap(store, &first).publish_rest(Replaced::Dropped).await.unwrap(), 0);
    }
    swap(store, &second).roll_back().await.unwrap();
    assert_eq!(seen(store).await, new);
    let left = traces();
    assert!(!left.iter().any(|name| name.contains(".coffer-") || name.contains(first.id.as_str())), "{left:?}");
    assert!(matches!(swap(store, &second).begin().await, Err(Error::NotEmpty { .. })));
    // What somebody has put beside is not taken away by whoever comes after a crash.
    swap(store, &second).roll_back().await.unwrap();
    assert_eq!(seen(store).await, new);
}
