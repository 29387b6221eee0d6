//! `provost doctor`: what is wrong, and what to do.

use serde_json::json;

use super::{
    Outcome, open_existing,
    output::{counted, print_json, print_line},
};
use crate::{
    config::Config,
    services::doctor::{self, Check, Finding},
};

pub(super) const EXAMPLES: &str = "\
Looks at files, keys, rights, connections, disk space, databases without institution and institutions without
database, schema versions, failed set-ups, waiting operations and mail. Changes nothing; it may run beside the server.
The exit code is 0 when there is nothing to do and 1 when there is.

Examples:
  provost doctor
  provost doctor --json | jq '.findings[].remedy'";

pub(super) fn run(config: &Config, as_json: bool) -> Outcome {
    let checks = match open_existing(config) {
        Ok(platform) => {
            let checks = doctor::examine(&platform);
            platform.close();
            checks
        }
        Err(problem) => vec![cannot_open(problem)],
    };
    let findings: Vec<&Finding> = checks.iter().flat_map(|check| &check.findings).collect();
    if as_json {
        print_json(&json!({ "healthy": findings.is_empty(), "findings": findings, "checks": checks }))?;
    } else {
        checks.iter().for_each(print);
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(format!("{} doing.", counted(count, "thing needs", "things need"))),
    }
}

fn cannot_open(problem: String) -> Check {
    let remedy = "Correct this first, then run provost doctor again.".to_owned();
    let finding = Finding { problem, remedy, urgent: true };
    Check { name: "The platform", seen: "cannot be opened".into(), findings: vec![finding] }
}

fn print(check: &Check) {
    let mark = match check.findings.iter().any(|finding| finding.urgent) {
        true => "problem",
        false if check.findings.is_empty() => "ok",
        false => "notice",
    };
    print_line(&format!("{mark:<8} {}: {}", check.name, check.seen));
    for finding in &check.findings {
        print_line(&format!("         {}", finding.problem));
        print_line(&format!("         -> {}", finding.remedy));
    }
}
