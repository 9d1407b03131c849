//! `roomcast-emulator`: the chat platforms DingTalk, Lark and WeCom on loopback, for tests and
//! demonstrations.
//!
//! Owns the start and the options. It enforces the documented limits of the platforms, fails on
//! request, and reports the received messages. It shares no code with roomcast, so that it finds
//! mistakes in it.
//!
//! Not here: the state (`emulator.rs`), and the connections (`server.rs`).

mod check;
mod control;
mod dialect;
mod dingtalk;
mod emulator;
mod faults;
mod lark;
mod lark_card;
mod message;
mod page;
mod platform;
mod quota;
mod received;
mod reception;
mod reply;
mod robots;
mod router;
mod server;
mod wecom;
mod wecom_card;
mod wecom_refusal;

#[cfg(test)]
mod tests;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::emulator::Emulator;
use crate::quota::Pace;
use crate::robots::Defaults;

/// Emulates the chat platforms on loopback and reports the received messages.
#[derive(Debug, Parser)]
#[command(name = "roomcast-emulator", version)]
struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8390")]
    listen: String,
    /// Write `host:port` into this file once listening.
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,
    /// Let every quota window of 60 seconds last this many seconds, and others in proportion.
    #[arg(long, value_name = "S", value_parser = window_seconds)]
    window_seconds: Option<f64>,
    /// Enforce no quota.
    #[arg(long)]
    no_quota: bool,
    /// Keep counters only, not the messages.
    #[arg(long)]
    no_record: bool,
    /// Answer "does not exist" for robots that were not registered.
    #[arg(long)]
    strict: bool,
}

fn window_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 86_400.0 => Ok(seconds),
        _ => Err("must be a number of seconds above 0 and at most 86400".to_owned()),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(run(options)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed as well, the error cannot be reported.
            let _ = writeln!(io::stderr(), "roomcast-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> io::Result<()> {
    let defaults = Defaults {
        pace: options.window_seconds.map_or(Pace::REAL, Pace::of_window),
        quotas: !options.no_quota,
        strict: options.strict,
    };
    let emulator = Emulator::new(defaults, !options.no_record);
    // Signals are handled before the port file reveals the emulator.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(&options.listen).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {}: {error}", options.listen))
    })?;
    let address = listener.local_addr()?.to_string();
    if let Some(file) = &options.port_file {
        server::write_port_file(file, &address)?;
    }
    let mut out = io::stdout();
    writeln!(out, "listening on http://{address}")?;
    out.flush()?;

    let stop = CancellationToken::new();
    let serving = tokio::spawn(server::serve(listener, router::router(emulator), stop.clone()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
    serving.await.map_err(io::Error::other)
}
