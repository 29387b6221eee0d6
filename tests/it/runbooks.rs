//! The runbooks say what to do about every alert, with commands that there are.

use std::path::Path;

use provost::{cli, services::monitoring::rule_names};

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_rule_has_its_runbook() {
    let runbooks = text("docs/runbooks.md");
    let headings: Vec<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for rule in rule_names() {
        assert!(headings.contains(&rule), "{rule} has no runbook: {headings:?}");
    }
    for part in runbooks.split("\n## ").skip(1) {
        let heading = part.lines().next().unwrap_or_default();
        for said in ["**How it shows.**", "**What it means.**", "**What to do.**", "**It is over when**"] {
            assert!(part.contains(said), "{heading} does not say {said}");
        }
    }
    assert!(text("README.md").contains("docs/runbooks.md"));
}

#[test]
fn every_command_in_the_documents_exists() {
    let mut seen = 0;
    for document in ["docs/runbooks.md", "docs/restore-platform.md", "README.md"] {
        for command in commands(&text(document)) {
            check(document, &command);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} commands");
}

/// What stands in code and begins with the program's name.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            block = !block;
        } else if block {
            found.push(line.trim().trim_start_matches("$ ").to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found.retain(|command| command.starts_with("provost ") || command.starts_with("./provost "));
    found
}

/// Follows the words down the tree of commands, and looks each option up.
fn check(document: &str, text: &str) {
    let mut root = cli::command();
    root.build();
    let mut command = &root;
    let words = text.split(['#', '|', '>', '&', ';']).next().unwrap_or_default();
    for word in words.split_whitespace().skip(1) {
        if word == "help" {
            return;
        }
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap_or_default();
            let known = command.get_arguments().any(|known| known.get_long() == Some(name));
            assert!(known || ["help", "version"].contains(&name), "{document}: {text}: there is no --{name}");
        } else if let Some(next) = command.find_subcommand(word) {
            command = next;
        } else {
            // An argument of its own, or the value of an option.
            let takes = command.get_positionals().next().is_some() || command.get_opts().next().is_some();
            let values = text.contains(" --");
            assert!(!command.has_subcommands() || values, "{document}: {text}: there is no command {word}");
            assert!(takes, "{document}: {text}: {word} is one word too many");
        }
    }
}
