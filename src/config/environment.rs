//! The file `.env`, and variables that nobody knows.

use std::env;

const ENV_FILE: &str = ".env";
/// Variables that are not options: for the tests and the developers.
const OTHER_VARIABLES: &[&str] = &["PROVOST_CRASH_AT", "PROVOST_BIN"];

/// Reads the file `.env` of the present folder, for development; no other folder's. Call it before the flags
/// are parsed.
///
/// # Errors
/// A sentence for the operator when there is a file and it cannot be read to its end.
pub fn load_env_file() -> Result<(), String> {
    match dotenvy::from_path(ENV_FILE) {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        // The line, or the end of it that is told here, may hold a secret.
        Err(dotenvy::Error::LineParse(line, _)) => {
            let text = std::fs::read_to_string(ENV_FILE).unwrap_or_default();
            let at = text.lines().position(|known| known.trim().ends_with(line.trim()));
            let place = at.map_or("A line".to_owned(), |index| format!("Line {}", index + 1));
            Err(format!(
                "{place} of the file .env cannot be read; write NAME=value, with quotes around a value that holds \
                 blanks."
            ))
        }
        Err(error) => Err(format!("The file .env cannot be read: {error}.")),
    }
}

/// Refuses variables that start with `PROVOST_` and mean nothing.
///
/// # Errors
/// A sentence for the operator.
pub fn refuse_unknown_variables(command: &clap::Command) -> Result<(), String> {
    let known: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_env()).collect();
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str().filter(|text| text.starts_with("PROVOST_")) else { continue };
        let other = OTHER_VARIABLES.contains(&text) || text.starts_with("PROVOST_TEST_");
        if !other && !known.contains(&name.as_os_str()) {
            return Err(format!("The environment variable {text} is unknown; check its spelling."));
        }
    }
    Ok(())
}
