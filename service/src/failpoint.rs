//! Places at which the tests end the process as a power cut would.

#[cfg(feature = "failpoints")]
use rustix::process::{Signal, getpid, kill_process};

/// Ends the process here, where it was told to: with the feature `failpoints`, and the name in `COFFER_FAILPOINT`. Else nothing.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(name: &str) {
    if crate::config::environment("COFFER_FAILPOINT").as_deref() == Some(name) {
        // Nothing runs after this: no destructor, no handler.
        if let Err(error) = kill_process(getpid(), Signal::KILL) {
            tracing::error!(name, %error, "the process could not be ended");
        }
    }
}

/// Nothing: what users run has no such places.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn failpoint(_: &str) {}
