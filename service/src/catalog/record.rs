//! What is known of a backup: its id, whose it is and of when, what its archive holds and where it stands.

use std::fmt;
use std::str::FromStr;

use coffer_crypto::ArchiveId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::name::AppName;
use crate::{Error, Result};

/// What an id begins with.
pub(super) const PREFIX: &str = "bk_";

/// A backup's id: `bk_` and that of its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackupId(pub(super) ArchiveId);

impl BackupId {
    /// The archive's own id.
    #[must_use]
    pub const fn archive(self) -> ArchiveId {
        self.0
    }
}

impl From<ArchiveId> for BackupId {
    fn from(id: ArchiveId) -> Self {
        Self(id)
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl FromStr for BackupId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let id = text.strip_prefix(PREFIX).and_then(|digits| digits.parse().ok());
        id.map(Self)
            .ok_or_else(|| Error::Usage(format!("{text:?} is no id of a backup: bk_ and 32 digits from 0 to f")))
    }
}

/// What began a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// `coffer backup`.
    Command,
    /// A call over REST.
    Rest,
    /// Nobody knows: it was found in a vault.
    Rescan,
}

/// How a backup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is being made.
    Running,
    /// Its archive stands in a vault, whole.
    Good,
    /// It came to nothing.
    Failed,
    /// It is being deleted.
    Deleting,
}

/// What is known of a backup's archive, as it is kept beside it. What is not known is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Record {
    /// `bk_` and the archive's id.
    pub id: String,
    /// The app's source.
    pub source: String,
    /// The app.
    pub app: String,
    /// The time of its state, RFC 3339.
    pub created: String,
    /// What began it.
    pub trigger: Trigger,
    /// How long it took.
    pub seconds: Option<f64>,
    /// The archive's length.
    pub bytes: Option<u64>,
    /// The archive's SHA-256.
    pub sha256: Option<String>,
    /// Rows of all tables.
    pub rows: Option<u64>,
    /// Tables.
    pub tables: Option<u64>,
    /// Objects.
    pub objects: Option<u64>,
    /// Bytes of all objects.
    pub object_bytes: Option<u64>,
    /// Objects that were deleted while they were to be read.
    pub vanished: Option<u64>,
    /// Things that can't be carried and were left out as asked.
    pub skipped: Option<u64>,
    /// The digest over the archive's index.
    pub index_digest: Option<String>,
    /// The app's engine.
    pub engine: Option<String>,
    /// Who can open it; nobody has to where the list is empty, as it is not sealed.
    pub recipients: Option<Vec<String>>,
    /// The public key of whoever signed it.
    pub signed_by: Option<String>,
    /// What its user should know.
    pub notice: Option<String>,
}

impl Record {
    /// A record of which nothing is known but whose it is and when.
    pub(crate) fn new(id: BackupId, app: &AppName, created: Timestamp, trigger: Trigger) -> Self {
        Self {
            id: id.to_string(),
            source: app.source.to_string(),
            app: app.app.to_string(),
            created: format!("{created:.0}"),
            trigger,
            seconds: None,
            bytes: None,
            sha256: None,
            rows: None,
            tables: None,
            objects: None,
            object_bytes: None,
            vanished: None,
            skipped: None,
            index_digest: None,
            engine: None,
            recipients: None,
            signed_by: None,
            notice: None,
        }
    }

    /// Its id.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is none.
    pub fn id(&self) -> Result<BackupId> {
        self.id.parse()
    }

    /// The app.
    ///
    /// # Errors
    /// [`Error::Usage`] where it can't be one's name.
    pub fn app(&self) -> Result<AppName> {
        Ok(AppName { source: self.source.parse()?, app: self.app.parse()? })
    }

    /// The time of its state.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is none.
    pub fn created(&self) -> Result<Timestamp> {
        self.created.parse().map_err(|_| Error::Usage(format!("{:?} is no time of RFC 3339", self.created)))
    }
}

/// Where an archive stands, and what it is there: each copy can have been sealed for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Place {
    /// The vault's name.
    pub vault: String,
    /// The path in it.
    pub path: String,
    /// The archive's length.
    pub bytes: Option<u64>,
    /// The archive's SHA-256.
    pub sha256: Option<String>,
    /// Who can open it.
    pub recipients: Option<Vec<String>>,
}

impl Place {
    /// The archive that a record tells of, in a vault.
    pub(crate) fn of(record: &Record, vault: &str, path: &str) -> Self {
        let (bytes, sha256, recipients) = (record.bytes, record.sha256.clone(), record.recipients.clone());
        Self { vault: vault.to_owned(), path: path.to_owned(), bytes, sha256, recipients }
    }

    /// Holds what stands there to the length that was written.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub(crate) fn check_length(&self, length: u64) -> Result<()> {
        match self.bytes.filter(|bytes| *bytes != length) {
            None => Ok(()),
            Some(bytes) => Err(Error::Mismatch(format!(
                "{} of vault {} has {length} bytes where {bytes} were written: it is damaged",
                self.path, self.vault
            ))),
        }
    }

    /// What is known of the archive there.
    pub(crate) fn record(&self, backup: &Record) -> Record {
        let Self { bytes, sha256, recipients, .. } = self.clone();
        Record { bytes, sha256, recipients, ..backup.clone() }
    }
}

/// A backup, or an attempt at one.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Backup {
    /// What is known of its archive.
    #[serde(flatten)]
    pub record: Record,
    /// How it stands.
    pub state: State,
    /// The vaults that have it.
    pub vaults: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Where its archive stands.
    pub places: Vec<Place>,
}
