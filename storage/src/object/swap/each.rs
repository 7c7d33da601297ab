//! The same work for many, some of them at once.

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

use crate::Result;

/// Does the work for each, so many at once, and gives what came of it in no order. After a failure no more are begun, and those
/// under way are waited for: none goes on behind whoever cleans up.
pub(super) async fn each<'a, T: Send, O: Send>(
    items: impl IntoIterator<Item = T, IntoIter: Send> + Send,
    at_once: usize,
    work: impl Fn(T) -> BoxFuture<'a, Result<O>> + Send,
) -> Result<Vec<O>> {
    let mut items = items.into_iter();
    let (mut running, mut done, mut failure) = (FuturesUnordered::new(), Vec::new(), None);
    loop {
        while failure.is_none()
            && running.len() < at_once
            && let Some(item) = items.next()
        {
            running.push(work(item));
        }
        match running.next().await {
            None => return failure.map_or(Ok(done), Err),
            Some(Ok(output)) => done.push(output),
            Some(Err(error)) => drop(failure.get_or_insert(error)),
        }
    }
}
