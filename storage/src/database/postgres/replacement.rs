//! An import that replaces, or an undo: it only waits for its swap.

use async_trait::async_trait;

use super::locks::{Key, Span};
use super::session::Session;
use super::stage::check_rights;
use super::swap::{self, Swap};
use super::{PostgresDatabase, names, remains, target};
use crate::{Error, Import, ImportId, Loaded, Result, TableSummary};

const WHAT: &str = "an import that replaces";

/// A schema that waits, the session whose locks keep other imports out, and what to do with both.
pub(super) struct Replacement {
    /// None once it has been used up.
    session: Option<Session>,
    swap: Swap,
    tables: Vec<TableSummary>,
    database: PostgresDatabase,
    import: Import,
}

impl Replacement {
    /// What was loaded and waits.
    pub(super) fn new(
        (session, swap): (Session, Swap),
        tables: Vec<TableSummary>,
        database: PostgresDatabase,
        import: Import,
    ) -> Self {
        Self { session: Some(session), swap, tables, database, import }
    }

    /// What an import has replaced, to be brought back.
    ///
    /// # Errors
    /// `NotFound` where it is not there; `Taken`, `Denied` and `Refused` as for an import.
    pub(super) async fn of_replaced(database: &PostgresDatabase, replaced: &ImportId, import: &Import) -> Result<Self> {
        let schema = database.place.schema.as_str();
        let mut session = target::open(&database.place).await?;
        Key::App(schema).take(&mut session, Span::Session).await?;
        Key::Import(&import.id).take(&mut session, Span::Session).await?;
        Key::Import(replaced).take(&mut session, Span::Session).await?;
        let live = swap::schema_id(&mut session, schema).await?;
        let swap = Swap::new(database, names::replaced(replaced), import, live);
        check_rights(&mut session, schema).await?;
        check_rights(&mut session, swap.waiting()).await?;
        swap.check(&mut session).await?;
        Ok(Self::new((session, swap), Vec::new(), database.clone(), import.clone()))
    }

    fn session(&mut self) -> Result<(&mut Session, &Swap)> {
        let session = self.session.as_mut().ok_or(Error::Stopped { what: WHAT })?;
        Ok((session, &self.swap))
    }
}

#[async_trait]
impl Loaded for Replacement {
    fn tables(&self) -> &[TableSummary] {
        &self.tables
    }

    async fn prepare(&mut self) -> Result<()> {
        let schema = self.database.place.schema.clone();
        let (session, swap) = self.session()?;
        if !Key::App(&schema).is_held(session).await? {
            Key::App(&schema).take(session, Span::Session).await?;
        }
        swap.check(session).await
    }

    async fn mark(&mut self) -> Result<String> {
        let (session, swap) = self.session()?;
        swap.mark(session).await
    }

    /// What waits stays where it does not come through: who asks whether it has needs it.
    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.prepare().await?;
        let Some(mut session) = self.session.take() else { return Err(Error::Stopped { what: WHAT }) };
        self.swap.run(&mut session).await?;
        session.close().await.or(Ok(()))
    }

    async fn discard(mut self: Box<Self>) -> Result<()> {
        // Whoever takes the rest away ends this session first.
        drop(self.session.take());
        remains::roll_back(&self.database, &self.import).await
    }
}

impl Drop for Replacement {
    /// Takes away what waits, soon. What an import before it had replaced bears another name, and stays.
    fn drop(&mut self) {
        let (Some(session), Ok(runtime)) = (self.session.take(), tokio::runtime::Handle::try_current()) else { return };
        drop(session);
        let (database, import) = (self.database.clone(), self.import.clone());
        runtime.spawn(async move {
            // Whoever recovers the import does it otherwise.
            drop(remains::tidy(&database, &import.id).await);
        });
    }
}
