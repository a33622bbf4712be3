//! The program: arguments, the command, its exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use kafka_redis_bridge::commands::Cli;
use kafka_redis_bridge::exit::Exit;

/// Takes the place of the C library's, for librdkafka as well: one thread of it allocates each record and another one
/// frees it, and there glibc's threads wait for each other's locks. No huge pages: they would double the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[cfg(feature = "broken-commit-first")]
    eprintln!(
        "THIS BUILD IS BROKEN ON PURPOSE AND LOSES RECORDS: feature broken-commit-first, for tests alone"
    );
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.run() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            for line in failure.message.lines() {
                eprintln!("error: {line}");
            }
            failure.exit.into()
        }
    }
}

/// Help and version are answers, everything else is a wrong command line.
fn usage(error: &clap::Error) -> ExitCode {
    // Where it can't be printed there is nobody to read it.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok.into(),
        _ => Exit::Usage.into(),
    }
}
