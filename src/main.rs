//! `tradewind`: argv in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    tradewind::cli::commands::main(std::env::args_os())
}
