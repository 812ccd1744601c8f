//! A configuration file, environment and `--set` as somebody wrote them. Lines that begin with `env ` are variables, with
//! `set ` arguments; all others are the file.

#![no_main]

use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use ottla::config::{Inputs, load};

fuzz_target!(|text: &str| {
    let (mut file, mut environment, mut set) = (String::new(), Vec::new(), Vec::new());
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        if let Some(variable) = bare.strip_prefix("env ") {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            environment.push((name.to_owned(), value.to_owned()));
        } else if let Some(argument) = bare.strip_prefix("set ") {
            set.push(argument.to_owned());
        } else {
            file.push_str(line);
        }
    }
    let inputs = Inputs {
        file: Some((PathBuf::from("server.properties"), file)),
        environment,
        set,
        ..Inputs::default()
    };
    match load(inputs) {
        Ok(loaded) => {
            let _ = loaded.config.listeners();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
