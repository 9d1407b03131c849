//! The `roomcast` program. All code is in the library, so that tests can reach it.
//!
//! Owns the exit code that the process returns.
//!
//! Not here: the command line (`cli/mod.rs`), and the daemon (`app.rs`).

use std::process::ExitCode;

fn main() -> ExitCode {
    roomcast::cli::main()
}
