//! The lock that keeps a second import of a database out, whichever deployment's it is.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{Mode, OFlags};

use super::places;
use crate::{Error, ImportId, Result};

/// How long a recovery waits for what its own import may still be doing.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A lock on a file beside the target, which the kernel frees when its holder dies. The holder's import is written in it. Dropping
/// this takes the file away.
#[derive(Debug)]
pub(super) struct TargetLock {
    path: PathBuf,
    _file: File,
}

/// What came of trying for it.
enum Attempt {
    Ours(TargetLock),
    /// By whom, where that has been written yet.
    Held(Option<ImportId>),
}

impl TargetLock {
    /// Takes it for an import.
    ///
    /// # Errors
    /// `Taken` where another one has it.
    pub(super) fn take(target: &Path, id: &ImportId) -> Result<Self> {
        let path = places::lock(target)?;
        match attempt(&path, id).map_err(Error::io(format!("locking {}", path.display())))? {
            Attempt::Ours(lock) => Ok(lock),
            Attempt::Held(_) => Err(Error::Taken { what: target.display().to_string() }),
        }
    }

    /// Makes sure that the import itself is not at work any more. None where another one is, or where there is no folder to be at
    /// work in: then there is nothing of it that could be in the way.
    ///
    /// # Errors
    /// `Taken` where it is.
    pub(super) fn for_recovery(target: &Path, id: &ImportId) -> Result<Option<Self>> {
        let path = places::lock(target)?;
        let until = Instant::now() + RECOVERY_PATIENCE;
        loop {
            match attempt(&path, id) {
                Ok(Attempt::Ours(lock)) => return Ok(Some(lock)),
                Ok(Attempt::Held(Some(other))) if other != *id => return Ok(None),
                Ok(Attempt::Held(_)) if Instant::now() < until => thread::sleep(PAUSE),
                Ok(Attempt::Held(_)) => return Err(Error::Taken { what: target.display().to_string() }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::io(format!("locking {}", path.display()))(error)),
            }
        }
    }
}

impl Drop for TargetLock {
    /// Removes the file while it is still locked: who opens it from now on makes another.
    fn drop(&mut self) {
        // One that stays is taken over by the next import.
        drop(fs::remove_file(&self.path));
    }
}

fn attempt(path: &Path, id: &ImportId) -> io::Result<Attempt> {
    loop {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Held(holder(&file)?)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if is_at(&file, path)? {
            file.set_len(0)?;
            file.write_all(id.as_str().as_bytes())?;
            return Ok(Attempt::Ours(TargetLock { path: path.to_owned(), _file: file }));
        }
    }
}

/// Whether the path still leads to the file: its last holder may have taken it away since it was opened.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn holder(mut file: &File) -> io::Result<Option<ImportId>> {
    let mut digits = [0; 16];
    match file.read_exact(&mut digits) {
        Ok(()) => Ok(std::str::from_utf8(&digits).ok().and_then(ImportId::parse)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_imports_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("data.db");
        let (one, other) = (ImportId::random().unwrap(), ImportId::random().unwrap());
        let held = TargetLock::take(&target, &one).unwrap();
        assert!(matches!(TargetLock::take(&target, &other), Err(Error::Taken { .. })));
        assert!(TargetLock::for_recovery(&target, &other).unwrap().is_none(), "another's recovery need not wait");
        let started = Instant::now();
        assert!(matches!(TargetLock::for_recovery(&target, &one), Err(Error::Taken { .. })));
        assert!(started.elapsed() >= RECOVERY_PATIENCE);
        drop(held);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(TargetLock::for_recovery(&target, &one).unwrap().unwrap());
        assert!(TargetLock::for_recovery(&folder.path().join("no/data.db"), &one).unwrap().is_none());
    }

    #[test]
    fn is_never_two_imports_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("data.db");
        let inside = std::sync::atomic::AtomicUsize::new(0);
        let taken = std::sync::atomic::AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let id = ImportId::random().unwrap();
                    for _ in 0..2_000 {
                        let Ok(lock) = TargetLock::take(&target, &id) else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(taken.into_inner() > 100);
    }
}
