//! A listing in pages: a thread that walks, one page ahead.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::walk::Walk;
use crate::{Error, Listed, Listing, Result};

/// The most on a page.
const PAGE_OBJECTS: usize = 1_000;

/// A listing of a folder.
pub(super) struct LocalListing {
    /// An empty page is the end; a channel that closes without it is an error.
    pages: mpsc::Receiver<Result<Vec<Listed>>>,
    ended: bool,
}

impl LocalListing {
    /// Starts the thread. Dropping the listing ends it at its next page.
    pub(super) fn start(mut walk: Walk) -> Self {
        let (sender, pages) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            loop {
                let page = read_page(&mut walk);
                let is_last = page.as_ref().map_or(true, Vec::is_empty);
                if sender.blocking_send(page).is_err() || is_last {
                    break;
                }
            }
        });
        Self { pages, ended: false }
    }
}

fn read_page(walk: &mut Walk) -> Result<Vec<Listed>> {
    let mut page = Vec::new();
    while page.len() < PAGE_OBJECTS
        && let Some(listed) = walk.next()?
    {
        page.push(listed);
    }
    Ok(page)
}

#[async_trait]
impl Listing for LocalListing {
    async fn next_page(&mut self) -> Result<Vec<Listed>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let page = self.pages.recv().await.unwrap_or(Err(Error::Stopped { what: "listing a folder" }))?;
        self.ended = page.is_empty();
        Ok(page)
    }
}
