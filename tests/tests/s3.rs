//! The suite that every object store must pass, on a real S3 server.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};
use bytes::Bytes;
use coffer_storage::testing::{StoreKind, object_store_conformance};
use coffer_storage::{
    Buffers, Checksums, Error, ObjectKey, ObjectMeta, ObjectStore, S3Client, S3Credentials, S3Settings, S3Store,
};
use coffer_tests::Random;
use coffer_tests::s3::{Bucket, Server, server};
use futures::{StreamExt, stream};

/// Each character that makes trouble somewhere, and keys that are the beginning of others.
const AWKWARD: [&[u8]; 14] = [
    b"plus+and%20space",
    b"a//b",
    b"/begins",
    b"ends/",
    b"./a",
    b"a/../b",
    b"a/./b",
    b"...",
    "\u{1}\u{1f}\u{7f}".as_bytes(),
    "\u{feff}bom \u{202e}right to left".as_bytes(),
    b"?versionId=1&x#fragment",
    b"a",
    b"a/b",
    b"<&>;:@$,!=[]{}|^`",
];

/// How the client is told of a server.
fn settings(server: &Server) -> S3Settings {
    S3Settings {
        endpoint: Some(server.endpoint.clone()),
        region: Some(server.region.clone()),
        credentials: Some(S3Credentials {
            access_key_id: server.access_key.clone(),
            secret_access_key: server.secret_key.clone(),
        }),
        path_style: Some(true),
        ..S3Settings::default()
    }
}

/// Runs the suite in prefixes of one bucket.
async fn conforms(bucket: &Bucket, settings: S3Settings) {
    let client = S3Client::new(settings);
    let made = AtomicU32::new(0);
    let fresh = || {
        let prefix = format!("apps/{}/", made.fetch_add(1, Ordering::SeqCst));
        S3Store::new(client.clone(), bucket.name(), &prefix)
    };
    let traces = || {
        tokio::task::block_in_place(|| {
            let objects = bucket.objects().unwrap_or_default().into_keys();
            objects.chain(bucket.multipart_uploads().unwrap_or_default()).collect()
        })
    };
    object_store_conformance(fresh, &AWKWARD, StoreKind::Bucket, traces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_passes_the_suite() -> Result<()> {
    let server = tokio::task::block_in_place(server)?;
    let bucket = tokio::task::block_in_place(|| server.bucket())?;
    conforms(&bucket, settings(&server)).await;
    tokio::task::block_in_place(|| drop(bucket));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_versions_passes_the_suite_with_the_fewest_checksums() -> Result<()> {
    let server = tokio::task::block_in_place(server)?;
    let bucket = tokio::task::block_in_place(|| server.versioned_bucket())?;
    let settings =
        S3Settings { checksums: Checksums::Required, requests_per_second: NonZeroU32::new(2_000), ..settings(&server) };
    conforms(&bucket, settings).await;
    tokio::task::block_in_place(|| drop(bucket));
    Ok(())
}

/// An object of more parts than an upload may have is put together from sections. Here it takes 3 parts, then sections of 2.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_too_many_parts_is_put_together_from_sections() -> Result<()> {
    const PART: usize = 5 << 20;
    let server = tokio::task::block_in_place(server)?;
    let bucket = tokio::task::block_in_place(|| server.bucket())?;
    let store = S3Store::new(S3Client::new(settings(&server)), bucket.name(), "app/").cut_into(PART, 3, 2);
    let memory = Buffers::new(3 * PART as u64);
    let bytes = Bytes::from(Random::new(3).bytes(9 * PART + 12_345));
    let pieces = |until: usize| {
        let bytes = bytes.slice(..until);
        stream::iter((0..until).step_by(200_000).map(move |at| Ok(bytes.slice(at..until.min(at + 200_000)))))
    };
    let meta =
        |size: usize| ObjectMeta { size: size as u64, content_type: Some("a/b".into()), ..ObjectMeta::default() };
    let key = |name: &str| ObjectKey::try_from(name.as_bytes());
    for size in [PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 1, 5 * PART, 5 * PART + 1, bytes.len()] {
        store.put(&key("known")?, meta(size), pieces(size).boxed()).await?;
        let mut upload = store.upload(&key("unknown")?, &memory, "a/b")?;
        for piece in bytes.slice(..size).chunks(300_001) {
            upload.write(Bytes::copy_from_slice(piece)).await?;
        }
        upload.finish().await?;
        tokio::task::block_in_place(|| {
            ensure!(
                bucket.objects()?.into_iter().collect::<Vec<_>>()
                    == [("app/known".to_owned(), size as u64), ("app/unknown".to_owned(), size as u64)]
            );
            for name in ["app/known", "app/unknown"] {
                ensure!(bucket.get(name)? == bytes[..size], "{name} of {size} bytes");
            }
            Ok(())
        })?;
    }
    // What fails in a section, or is dropped in one, leaves nothing of it.
    let broken = pieces(5 * PART).chain(stream::once(async { Err(Error::Stopped { what: "a test" }) }));
    ensure!(store.put(&key("broken")?, meta(bytes.len()), broken.boxed()).await.is_err());
    let stuck = pieces(5 * PART).chain(stream::pending());
    let stuck_key = key("stuck")?;
    let put = store.put(&stuck_key, meta(bytes.len()), stuck.boxed());
    ensure!(tokio::time::timeout(std::time::Duration::from_secs(2), put).await.is_err());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    tokio::task::block_in_place(|| {
        ensure!(bucket.objects()?.len() == 2 && bucket.multipart_uploads()?.is_empty(), "{:?}", bucket.objects()?);
        drop(bucket);
        Ok(())
    })
}
