//! `coffer recover`.

use clap::Args;
use serde_json::json;

use super::report::Report;
use crate::config::Config;
use crate::pipeline::Budget;
use crate::staging::{Recovered, Recovery, Staging};
use crate::{Error, Result};

/// See to imports whose process has ended before it was done
///
/// One that had not come through is taken back, one that had is brought to its end: the app is the old one or the new one, with all
/// its objects. What an earlier --replace has replaced and kept long enough goes. `coffer serve` does the same by itself when it
/// starts and every half minute, and so does the next restore into the app. Imports that run are left.
#[derive(Args)]
pub(super) struct Recover {}

impl Recover {
    pub(super) async fn run(self, config: &Config, report: &Report) -> Result<()> {
        let staging = Staging::open(config, Budget::new(config.memory)).await?;
        let recovered = staging.recover().await?;
        let all = recovered.len();
        let mut failed = 0;
        for Recovered { app, done } in recovered {
            match done {
                Ok(done) => {
                    let text = match done {
                        Recovery::TakenBack => "its import had not come through and is taken back: it is as it was",
                        Recovery::BroughtToEnd => "its import had come through and is brought to its end",
                        Recovery::LetGo => "what it was before its last import is not kept any longer",
                    };
                    report.summary(&format!("{app}: {text}"), &json!({ "app": app.to_string(), "done": done }))?;
                }
                Err(error) => {
                    failed += 1;
                    report.error(&error.about(format!("the import of {app} can't be seen to yet")));
                }
            }
        }
        match failed {
            0 if all == 0 => report.status("no import has ended before it was done"),
            0 => {}
            failed => return Err(Error::Some { what: "imports", failed, all }),
        }
        Ok(())
    }
}
