//! What the schemas are called that an import makes beside the app's own.

use crate::ImportId;

/// What the names of ours begin with. No app is called so.
pub(super) const OURS: &str = "coffer_";

/// The new app, while it waits.
pub(super) fn staging(import: &ImportId) -> String {
    format!("{OURS}staging_{import}")
}

/// What an import has replaced.
pub(super) fn replaced(import: &ImportId) -> String {
    format!("{OURS}replaced_{import}")
}

/// The app that is there, inside of the transaction that builds another under its name. Nobody else sees this name.
pub(super) fn aside(import: &ImportId) -> String {
    format!("{OURS}aside_{import}")
}
