//! The command line.

mod apps;
mod archive;
mod backup;
mod backups;
mod buckets;
mod config_check;
mod entries;
mod export;
mod extract;
mod first_start;
mod flags;
mod keygen;
mod new_file;
mod place;
mod recover;
mod report;
mod restore;
mod rewrap;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::Config;
use crate::{Error, Result};
pub(crate) use report::{Report, is_watched};

/// Streaming, encrypted export, import and backup of apps whose data lives in a database and in object storage.
///
/// An app is named SOURCE/APP, such as local/notes. Without a configuration file everything is in ./coffer-data, and the
/// one source is `local`, whose apps are coffer-data/apps/APP/data.db and coffer-data/apps/APP/files/.
#[derive(Parser)]
#[command(name = "coffer", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    /// The configuration [default: ./coffer.toml where it is there]
    #[arg(long, global = true, value_name = "FILE", env = "COFFER_CONFIG")]
    config: Option<PathBuf>,
    /// Print one JSON object a line on standard output
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 usage, 3 some of several apps failed, 10 no such app or archive, 11 busy, 12 wrong passphrase or key,
13 archive damaged, cut short, or without the signature asked for, 130 interrupted.";

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(crate::demo::Demo),
    /// List the apps that the sources hold
    Apps,
    Export(export::Export),
    Restore(restore::Restore),
    Recover(recover::Recover),
    Inspect(archive::Inspect),
    Extract(extract::Extract),
    Verify(archive::Verify),
    Rewrap(rewrap::Rewrap),
    Backup(backup::Backup),
    #[command(subcommand)]
    Backups(backups::Backups),
    Keygen(keygen::Keygen),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    Check(config_check::Check),
}

impl Command {
    /// A service tells what it does; a command tells how it ended by itself.
    fn log_level(&self) -> &'static str {
        match self {
            Self::Serve(_) => "info,sqlx=error",
            _ => "warn,sqlx=error,coffer::pipeline::transfer=off",
        }
    }
}

/// Runs the program on the process's arguments.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let report = Report::new(cli.json);
    serve::start_log(cli.command.log_level());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ran = match runtime {
        Ok(runtime) => {
            let ran = runtime.block_on(cli.run(&report));
            // A read of standard input that nobody waits for any more must not keep the program.
            runtime.shutdown_background();
            ran
        }
        Err(error) => Err(Error::Io(error)),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.error(&error);
            ExitCode::from(error.outcome().exit())
        }
    }
}

impl Cli {
    async fn run(self, report: &Report) -> Result<()> {
        let load = || Config::load(self.config.as_deref());
        match self.command {
            Command::Serve(serve) => serve.run(load()?, report).await,
            Command::Demo(demo) => demo.run(report).await,
            Command::Apps => apps::run(&load()?, report).await,
            Command::Export(export) => export.run(&load()?, report).await,
            Command::Restore(restore) => restore.run(&load()?, report).await,
            Command::Recover(recover) => recover.run(&load()?, report).await,
            Command::Inspect(inspect) => inspect.run(&load()?, report).await,
            Command::Extract(extract) => extract.run(&load()?, report).await,
            Command::Verify(verify) => verify.run(&load()?, report).await,
            Command::Rewrap(rewrap) => rewrap.run(&load()?, report).await,
            Command::Backup(backup) => backup.run(&load()?, report).await,
            Command::Backups(backups) => backups.run(&load()?, report).await,
            Command::Keygen(keygen) => keygen.run(report),
            Command::Config(ConfigCommand::Check(check)) => check.run(&load()?, report).await,
            Command::Completions { shell } => {
                clap_complete::generate(shell, &mut Self::command(), "coffer", &mut std::io::stdout());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
