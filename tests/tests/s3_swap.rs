//! Imports that replace an app's objects, on a real S3 server.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};
use bytes::Bytes;
use coffer_storage::testing::{StoreKind, object_swap_conformance};
use coffer_storage::{
    Buffers, Error, Import, ImportId, Landing, ObjectKey, ObjectMeta, ObjectStore, Replaced, S3Client, S3Credentials,
    S3Settings, S3Store,
};
use coffer_tests::Random;
use coffer_tests::s3::{Bucket, Server, server};
use futures::{StreamExt, stream};

const AWKWARD: [&[u8]; 8] = [
    b"plus+and%20space",
    b"a//b",
    b"/begins",
    b"ends/",
    "\u{1}\u{1f}\u{7f}".as_bytes(),
    b"?versionId=1&x#fragment",
    b"a",
    b"<&>;:@$,!=[]{}|^`",
];
const PART: usize = 5 << 20;

fn client(server: &Server) -> S3Client {
    S3Client::new(S3Settings {
        endpoint: Some(server.endpoint.clone()),
        region: Some(server.region.clone()),
        credentials: Some(S3Credentials {
            access_key_id: server.access_key.clone(),
            secret_access_key: server.secret_key.clone(),
        }),
        path_style: Some(true),
        ..S3Settings::default()
    })
}

fn import(landing: Landing) -> Result<Import> {
    Ok(Import { id: ImportId::random()?, landing })
}

fn names(bucket: &Bucket) -> Vec<String> {
    tokio::task::block_in_place(|| {
        let objects = bucket.objects().unwrap_or_default().into_keys();
        objects.chain(bucket.multipart_uploads().unwrap_or_default()).collect()
    })
}

async fn conforms(make: impl Fn(S3Store, u32) -> S3Store + Send + Sync) -> Result<()> {
    let server = tokio::task::block_in_place(server)?;
    let bucket = tokio::task::block_in_place(|| server.bucket())?;
    let client = client(&server);
    let made = AtomicU32::new(0);
    let fresh = || {
        let number = made.fetch_add(1, Ordering::SeqCst);
        make(S3Store::new(client.clone(), bucket.name(), &format!("apps/{number}/objects/")), number)
    };
    object_swap_conformance(fresh, &AWKWARD, StoreKind::Bucket, || names(&bucket)).await;
    tokio::task::block_in_place(|| drop(bucket));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_passes_the_suite_with_a_place_beside_its_apps() -> Result<()> {
    conforms(|store, _| store.with_waiting("apps/", "/objects/")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_passes_the_suite_with_a_place_below_the_app() -> Result<()> {
    conforms(|store, _| store).await
}

fn body(bytes: &Bytes) -> coffer_storage::ObjectBody {
    let bytes = bytes.clone();
    let size = bytes.len();
    stream::iter((0..size).step_by(200_000).map(move |at| Ok(bytes.slice(at..size.min(at + 200_000))))).boxed()
}

fn meta(bytes: &Bytes) -> ObjectMeta {
    ObjectMeta {
        size: bytes.len() as u64,
        content_type: Some("a/b".into()),
        user: [("owner".to_owned(), "somebody".to_owned())].into(),
        ..ObjectMeta::default()
    }
}

/// Objects that the server copies in parts have other entity tags than what they were made of, and are known all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_swapped_undone_and_taken_back() -> Result<()> {
    let server = tokio::task::block_in_place(server)?;
    let bucket = tokio::task::block_in_place(|| server.bucket())?;
    let store = S3Store::new(client(&server), bucket.name(), "apps/one/").cut_into(PART, 3, 2);
    let store = store.with_waiting("apps/", "/");
    let memory = Buffers::new(3 * PART as u64);
    let key = |name: &str| ObjectKey::try_from(name.as_bytes());
    let [old, new] = [3, 4].map(|seed| Bytes::from(Random::new(seed).bytes(5 * PART + 12_345)));
    store.put(&key("large")?, meta(&old), body(&old)).await?;
    let read = |name: &str| tokio::task::block_in_place(|| bucket.get(&format!("apps/one/{name}")));
    for is_taken_back in [true, false] {
        let import = import(Landing::Replace)?;
        let swap = store.swap(&import, &memory);
        swap.begin().await?;
        for name in ["large", "also large"] {
            swap.put(&key(name)?, meta(&new), body(&new)).await?;
        }
        let plan = swap.plan().await?;
        ensure!((plan.new, plan.changed, plan.same) == (1, 1, 0), "{plan:?}");
        swap.publish_new().await?;
        ensure!(read("also large")? == new && read("large")? == old);
        if is_taken_back {
            store.swap(&import, &memory).roll_back().await?;
            ensure!(names(&bucket) == ["apps/one/large"], "{:?}", names(&bucket));
            continue;
        }
        for _ in 0..2 {
            ensure!(store.swap(&import, &memory).publish_rest(Replaced::Kept).await? == 0);
            ensure!(read("also large")? == new && read("large")? == new);
        }
        ensure!(store.get(&key("large")?).await?.meta.user == meta(&new).user);
        ensure!(store.swap(&import, &memory).kept_bytes().await? == old.len() as u64);
        let undo = self::import(Landing::Replace)?;
        let back = store.swap(&undo, &memory);
        back.plan_back(&import.id).await?;
        back.publish_new().await?;
        ensure!(back.publish_rest(Replaced::Dropped).await? == 0);
        ensure!(read("large")? == old && read("also large").is_err());
        store.swap(&import, &memory).drop_kept().await?;
        ensure!(names(&bucket) == ["apps/one/large"], "{:?}", names(&bucket));
    }
    tokio::task::block_in_place(|| drop(bucket));
    Ok(())
}

/// What a killed process left of an import: parts of an object, in the place or below the app's prefix.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_killed_process_are_taken_away() -> Result<()> {
    let server = tokio::task::block_in_place(server)?;
    let bucket = tokio::task::block_in_place(|| server.bucket())?;
    let memory = Buffers::new(PART as u64);
    let key = ObjectKey::try_from(&b"a"[..])?;
    let bytes = Bytes::from_static(b"x");
    let store = S3Store::new(client(&server), bucket.name(), "apps/one/").with_waiting("apps/", "/");
    for landing in [Landing::New, Landing::Replace] {
        let import = import(landing)?;
        let swap = store.swap(&import, &memory);
        swap.begin().await?;
        swap.put(&key, meta(&bytes), body(&bytes)).await?;
        let place = match landing {
            Landing::New => "apps/one/".to_owned(),
            Landing::Replace => format!("apps/coffer_{}/new/", import.id),
        };
        tokio::task::block_in_place(|| {
            bucket.begin_upload(&format!("{place}large"), 1)?;
            bucket.begin_upload(&format!("{place}.coffer-tmp-0123456789abcdef"), 1)?;
            bucket.put(&format!("{place}.coffer-tmp-0123456789abcdef"), "a section")
        })?;
        for _ in 0..2 {
            store.swap(&import, &memory).roll_back().await?;
            ensure!(names(&bucket).is_empty(), "{landing:?}: {:?}", names(&bucket));
        }
    }
    tokio::task::block_in_place(|| drop(bucket));
    Ok(())
}

/// Of what is older than the lock, nothing is an import's.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_a_lock_is_not_deleted() -> Result<()> {
    let server = tokio::task::block_in_place(server)?;
    let bucket = tokio::task::block_in_place(|| server.bucket())?;
    let memory = Buffers::new(PART as u64);
    let store = S3Store::new(client(&server), bucket.name(), "apps/one/");
    let import = import(Landing::New)?;
    tokio::task::block_in_place(|| bucket.put("apps/one/old", "old"))?;
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    tokio::task::block_in_place(|| {
        bucket.put("apps/one/.coffer-import", import.id.to_string())?;
        bucket.put("apps/one/sent", "sent")
    })?;
    let told = store.swap(&import, &memory).roll_back().await;
    ensure!(matches!(&told, Err(Error::S3 { why, .. }) if why.contains("old is older")), "{told:?}");
    ensure!(names(&bucket).len() == 3);
    // A lock of another's is none of ours.
    store.swap(&self::import(Landing::New)?, &memory).roll_back().await?;
    ensure!(names(&bucket).len() == 3);
    tokio::task::block_in_place(|| drop(bucket));
    Ok(())
}
