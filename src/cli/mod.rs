//! The command line.
//!
//! Owns the commands, their output, and the exit codes; no other module names clap.
//!
//! Not here: the work of a command (`admin`, `app`, `broker`, `store`).

mod args;
mod backend;
mod check;
mod client;
mod columns;
mod credentials;
mod dead;
mod exit;
mod explain;
mod export;
mod history;
mod import;
mod import_lines;
mod key;
mod local_store;
mod output;
mod publish;
mod robot;
mod spool;
mod store;
mod subscription;
mod template;
mod test_message;
mod top;
mod topic;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

use self::{
    args::{Cli, Command},
    exit::Failure,
};
use crate::{
    app,
    broker::{BrokerError, Topology},
    config::{Config, ProcessEnvironment},
    send, telemetry,
};

/// Runs the command line, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Files, folders and sockets that roomcast creates are private to its user.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // Help and version are answers, not errors.
            let wrong = message.use_stderr();
            // The message quotes the arguments, which may contain control characters.
            let words = std::env::args_os()
                .map(|word| word.to_string_lossy().chars().map(output::shown).collect());
            let _ = Cli::try_parse_from::<_, String>(words).err().unwrap_or(message).print();
            return if wrong { ExitCode::from(64) } else { ExitCode::SUCCESS };
        }
    };
    match catch_unwind(AssertUnwindSafe(|| perform(cli).and_then(|()| output::printed()))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            print_error(&failure);
            failure.code()
        }
        // The panic hook has already printed the panic.
        Err(_) => ExitCode::from(exit::FAULT),
    }
}

/// The memory holds webhooks and keys. So no core dump is written, and no other process of the same
/// user may read it.
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let outcome = setrlimit(Resource::Core, none)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = outcome {
        print_error(&Failure::Internal(format!("core dumps could not be switched off: {error}")));
    }
}

/// Prints why a command failed. An error is ignored: without a terminal there is no reader.
fn print_error(failure: &Failure) {
    output::print_error(&format!("roomcast: {failure}"));
}

fn perform(cli: Cli) -> Result<(), Failure> {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "roomcast", &mut script);
        output::print_text(String::from_utf8_lossy(&script).trim_end());
        return Ok(());
    }
    keep_memory_private();
    let config = Config::load(cli.config.as_deref(), &ProcessEnvironment)
        .map_err(|mistakes| Failure::Usage(mistakes.to_string()))?;
    let internal = |error: &dyn std::error::Error| Failure::Internal(telemetry::with_causes(error));
    send::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| internal(&error))?;
    runtime.block_on(dispatch(config, cli.command, cli.config.as_deref()))
}

async fn dispatch(config: Config, command: Command, file: Option<&Path>) -> Result<(), Failure> {
    match command {
        Command::Run => {
            let logs = telemetry::install_logs(&config.log)
                .map_err(|error| Failure::Usage(telemetry::with_causes(&error)))?;
            app::run(config, file, logs).await.map_err(|error| check::daemon_failure(&error))
        }
        Command::Check => check::run(&config).await,
        Command::Topology => {
            let topology = Topology::new(app::topology_settings(&config));
            let vhost = config.broker.address().vhost().map_err(|error| broker_failure(&error))?;
            let text = serde_json::to_string_pretty(&topology.definitions(&vhost));
            output::print_text(&text.map_err(|error| Failure::Internal(error.to_string()))?);
            Ok(())
        }
        Command::Subscription(command) => subscription::run(&config, command).await,
        Command::Topic(command) => topic::run(&config, command).await,
        Command::Template(command) => template::run(&config, command).await,
        Command::Publish(event) => publish::run(&config, event).await,
        Command::Explain(event) => explain::run(&config, event).await,
        Command::Dead(command) => dead::run(&config, command).await,
        Command::Event(command) => history::event(&config, command).await,
        Command::History(asked) => history::list(&config, asked).await,
        Command::Top(command) => top::run(&config, &command).await,
        Command::Robot(command) => robot::run(&config, command).await,
        Command::Group(command) => robot::groups(&config, command).await,
        Command::Key(command) => key::run(&config, command).await,
        Command::Store(command) => store::run(&config, command).await,
        Command::Completions { .. } => Ok(()),
    }
}

/// The exit code of a broker's error.
fn broker_failure(error: &BrokerError) -> Failure {
    let message = telemetry::with_causes(error);
    match error {
        BrokerError::Address | BrokerError::CaFile { .. } | BrokerError::Mismatch { .. } => {
            Failure::Usage(message)
        }
        BrokerError::Unreachable { .. }
        | BrokerError::Tls { .. }
        | BrokerError::Blocked { .. }
        | BrokerError::Unconfirmed { .. }
        | BrokerError::Refused { .. }
        | BrokerError::Permission { .. }
        | BrokerError::Missing { .. }
        | BrokerError::NoDeadQueue { .. }
        | BrokerError::NotRedriven
        | BrokerError::Locked { .. } => Failure::Unavailable(message),
    }
}
