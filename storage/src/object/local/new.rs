//! An import into a folder that is not there, or holds nothing: one rename, and its way back after a crash.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    blocking,
    place::{LocalPlace, NEW},
    stage::{make_empty, rename_onto, sync_all, take_permissions},
    walk::{self, Walk},
    write::{self, Durability},
};
use crate::{Error, ImportId, ObjectBody, ObjectKey, ObjectMeta, ObjectSwap, Replaced, Result, SwapPlan, sibling};

/// The note of what is renamed.
const SENT: &str = "plan/sent";

/// Objects that wait beside the folder that they are to become. All that is known of them stands there, and a drop does nothing.
#[derive(Debug)]
pub(super) struct LocalNew {
    target: PathBuf,
    import: ImportId,
}

/// What must be known to take a rename back.
#[derive(Debug, Serialize, Deserialize)]
struct Sent {
    /// The objects, and nothing that somebody else has put beside them since.
    fingerprint: String,
    /// The permissions of the empty folder that was there before.
    mode: Option<u32>,
}

impl LocalNew {
    pub(super) fn new(target: PathBuf, import: ImportId) -> Self {
        Self { target, import }
    }

    /// Does something with the place on a thread that may block.
    async fn at_place<T: Send + 'static>(&self, work: fn(&LocalPlace) -> Result<T>) -> Result<T> {
        let place = LocalPlace::of(&self.target, &self.import)?;
        blocking("moving objects", move || work(&place)).await
    }
}

#[async_trait]
impl ObjectSwap for LocalNew {
    async fn begin(&self) -> Result<()> {
        self.at_place(|place| {
            check_empty(place)?;
            place.make()
        })
        .await
    }

    async fn put(&self, key: &ObjectKey, meta: ObjectMeta, body: ObjectBody) -> Result<()> {
        let waiting = LocalPlace::of(&self.target, &self.import)?.path.join(NEW);
        write::put(waiting, key, meta, body, Durability::Later).await
    }

    async fn plan(&self) -> Result<SwapPlan> {
        self.at_place(|place| {
            check_empty(place)?;
            let (mut walk, mut new) = (Walk::begin(place.path.join(NEW))?, 0);
            while walk.next()?.is_some() {
                new += 1;
            }
            Ok(SwapPlan { new, ..SwapPlan::default() })
        })
        .await
    }

    async fn plan_back(&self, replaced: &ImportId) -> Result<SwapPlan> {
        Err(Error::NotFound { what: format!("what import {replaced} replaced where nothing is") })
    }

    async fn publish_new(&self) -> Result<()> {
        self.at_place(publish).await
    }

    async fn publish_rest(&self, _: Replaced) -> Result<u64> {
        self.at_place(LocalPlace::remove).await.map(|()| 0)
    }

    async fn roll_back(&self) -> Result<()> {
        self.at_place(roll_back).await
    }

    async fn kept_bytes(&self) -> Result<u64> {
        Ok(0)
    }

    async fn drop_kept(&self) -> Result<()> {
        Ok(())
    }
}

fn check_empty(place: &LocalPlace) -> Result<()> {
    if walk::is_empty(place.target.clone())? {
        return Ok(());
    }
    Err(Error::NotEmpty { what: format!("folder {}", place.target.display()) })
}

/// Renames what waits onto the target. Where no object came, there is no folder.
fn publish(place: &LocalPlace) -> Result<()> {
    let waiting = place.path.join(NEW);
    if !waiting.exists() && place.read::<Sent>(SENT)?.is_some() {
        return Ok(());
    }
    if walk::is_empty(waiting.clone())? {
        return Ok(());
    }
    sync_all(&waiting)?;
    let fingerprint = walk::fingerprint(waiting.clone())?.to_string();
    let permissions = take_permissions(&waiting, &place.target)?;
    place.write(SENT, &Sent { fingerprint, mode: permissions.map(|permissions| permissions.mode()) })?;
    rename_onto(&waiting, &place.target)?;
    // Its folder, and those above it, which may be new too.
    place.target.ancestors().take(3).try_for_each(sibling::sync_parent)
}

/// Takes back a rename where there was one, and all that waits. Where anything else than what was imported is there, nothing is
/// deleted.
fn roll_back(place: &LocalPlace) -> Result<()> {
    let waiting = place.path.join(NEW);
    if let Some(sent) = place.read::<Sent>(SENT)? {
        if !waiting.exists() && place.target.exists() {
            take_back(place, &waiting, &sent)?;
        }
        if let Some(mode) = sent.mode {
            make_empty(&place.target, &fs::Permissions::from_mode(mode))?;
        }
        // Also what an earlier call took back, and could not look at any more.
        check(&waiting, &sent, &waiting)?;
    }
    place.remove()
}

/// Makes what was published wait again: gone at once, as it came.
fn take_back(place: &LocalPlace, waiting: &Path, sent: &Sent) -> Result<()> {
    check(&place.target, sent, &place.target)?;
    fs::rename(&place.target, waiting).map_err(Error::io(format!("taking back {}", place.target.display())))?;
    if check(waiting, sent, waiting).is_ok() || fs::rename(waiting, &place.target).is_err() {
        return Ok(());
    }
    // Somebody wrote in that moment: it is theirs again.
    check(&place.target, sent, &place.target)
}

/// Sees that a folder, where it is there, holds just what was imported.
fn check(folder: &Path, sent: &Sent, shown: &Path) -> Result<()> {
    if !folder.exists() || walk::fingerprint(folder.to_owned())?.to_string() == sent.fingerprint {
        return Ok(());
    }
    let why = io::Error::other("it does not read as just what was imported, so that nothing of it was deleted");
    Err(Error::io(format!("taking back {}", shown.display()))(why))
}
