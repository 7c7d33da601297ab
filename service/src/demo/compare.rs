//! Compares two apps as they stand: structure, rows and objects, piece by piece.

use bytes::Bytes;
use coffer_storage::{Dump, ObjectBody, ObjectStore};
use futures::StreamExt;

use crate::pipeline::App;
use crate::{Error, Result};

/// What two apps have in common, where they are the same.
#[derive(Default)]
pub(super) struct Same {
    pub(super) rows: u64,
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

/// Reads both apps at once.
///
/// # Errors
/// [`Error::Mismatch`] naming the first difference.
pub(super) async fn compare(one: &App, other: &App) -> Result<Same> {
    let mut same = Same::default();
    compare_rows(one.database.dump().await?, other.database.dump().await?, &mut same).await?;
    match (&one.objects, &other.objects) {
        (Some(one), Some(other)) => compare_objects(one.as_ref(), other.as_ref(), &mut same).await?,
        _ => return Err(different("one has no objects")),
    }
    Ok(same)
}

async fn compare_rows(mut one: Box<dyn Dump>, mut other: Box<dyn Dump>, same: &mut Same) -> Result<()> {
    let structure = |dump: &dyn Dump| {
        let blueprint = dump.blueprint();
        (blueprint.schema.clone(), blueprint.pre_data.clone(), blueprint.post_data.clone(), dump.sequences())
    };
    if structure(one.as_ref()) != structure(other.as_ref()) {
        return Err(different("their structure differs"));
    }
    loop {
        match (one.next().await?, other.next().await?) {
            (None, None) => return Ok(()),
            (Some(chunk), Some(copy)) if chunk.table == copy.table && chunk.bytes == copy.bytes => {
                same.rows += chunk.bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
                same.bytes += chunk.bytes.len() as u64;
            }
            (chunk, copy) => {
                let table = chunk.or(copy).map(|chunk| chunk.table);
                return Err(different(&format!("rows of table {table:?} differ")));
            }
        }
    }
}

async fn compare_objects(one: &dyn ObjectStore, other: &dyn ObjectStore, same: &mut Same) -> Result<()> {
    let (mut keys, mut copies) = (one.list().await?, other.list().await?);
    loop {
        let (page, copy) = (keys.next_page().await?, copies.next_page().await?);
        if page.is_empty() && copy.is_empty() {
            return Ok(());
        }
        if page.len() != copy.len() {
            return Err(different("one has more objects"));
        }
        for (listed, copied) in page.iter().zip(&copy) {
            let what = format!("object {}", listed.key);
            if listed.key != copied.key {
                return Err(different(&format!("{what} stands beside {}", copied.key)));
            }
            let (object, copy) = (one.get(&listed.key).await?, other.get(&copied.key).await?);
            if (object.meta.size, object.meta.modified) != (copy.meta.size, copy.meta.modified) {
                return Err(different(&format!("{what} has another size or time")));
            }
            same.bytes += compare_bodies(object.body, copy.body, &what).await?;
            same.objects += 1;
        }
    }
}

async fn compare_bodies(mut one: ObjectBody, mut other: ObjectBody, what: &str) -> Result<u64> {
    let (mut left, mut right, mut compared) = (Bytes::new(), Bytes::new(), 0);
    loop {
        left = refill(left, &mut one).await?;
        right = refill(right, &mut other).await?;
        let count = left.len().min(right.len());
        if left.split_to(count) != right.split_to(count) || (count == 0 && left.len() != right.len()) {
            return Err(different(&format!("{what} has other bytes")));
        }
        if count == 0 {
            return Ok(compared);
        }
        compared += count as u64;
    }
}

async fn refill(piece: Bytes, body: &mut ObjectBody) -> Result<Bytes> {
    if !piece.is_empty() {
        return Ok(piece);
    }
    Ok(body.next().await.transpose()?.unwrap_or_default())
}

fn different(why: &str) -> Error {
    Error::Mismatch(format!("the two apps are not the same: {why}"))
}
