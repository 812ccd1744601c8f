//! Arguments, configuration, the command, exit code; nothing else.

use std::fmt::Display;
use std::io::{self, Write};
use std::process;

use ottla::config::{self, Arguments, Command};
use ottla::{server, tools};

/// The exit code where something failed that no setting is to blame for.
const FAILED: u8 = 1;

/// The exit code where a flag or setting is wrong, as clap has it.
const BAD_SETTING: u8 = 2;

fn main() {
    let code = match run() {
        Ok(()) => 0,
        Err(failure) => {
            // Nobody can be told when stderr is closed.
            let _ = writeln!(io::stderr(), "error: {}", failure.text);
            failure.code
        }
    };
    // Nothing is left to be done: the store is closed, and the memory goes with the process.
    process::exit(code.into());
}

struct Failure {
    text: String,
    code: u8,
}

fn run() -> Result<(), Failure> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let arguments = Arguments::of_process();
    let command = arguments.command.clone();
    let print_budgets = arguments.print_budgets;
    let inputs = arguments.into_inputs(environment).map_err(bad_setting)?;
    let loaded = config::load(inputs).map_err(bad_setting)?;
    server::start_log(&loaded.config).map_err(bad_setting)?;
    match command {
        None if print_budgets => {
            let out = &mut io::stdout().lock();
            server::print_budgets(&loaded.config, out).map_err(|error| Failure {
                code: FAILED,
                text: format!("cannot print the budgets: {error}"),
            })
        }
        None => {
            server::log_notices(&loaded.notices);
            server::run(loaded.config).map_err(|error| Failure {
                code: error.exit_code(),
                text: error.to_string(),
            })
        }
        Some(Command::Health { address }) => {
            let out = &mut io::stdout().lock();
            tools::health(address.as_deref(), &loaded.config, out).map_err(|error| Failure {
                code: error.exit_code(),
                text: error.to_string(),
            })
        }
        Some(Command::Storage(command)) => {
            let out = &mut io::stdout().lock();
            tools::storage(&command, &loaded.config, out).map_err(|error| Failure {
                code: error.exit_code(),
                text: error.to_string(),
            })
        }
    }
}

fn bad_setting(error: impl Display) -> Failure {
    Failure {
        text: error.to_string(),
        code: BAD_SETTING,
    }
}
