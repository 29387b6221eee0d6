//! `provost doctor`: what is wrong, and what to do.

use serde_json::json;

use super::{
    Outcome, open_existing,
    output::{counted, print_json, print_line, sentence},
};
use crate::{
    config::Config,
    services::{
        doctor::{self, Check, Finding},
        fleet_doctor::{self, Report},
        platform::Platform,
    },
};

/// Institutions that are named with a finding; all are in the JSON and on the page.
const MOST_NAMED: usize = 10;

pub(super) const EXAMPLES: &str = "\
Looks at files, keys, rights, connections, disk space, databases without institution and institutions without
database, schema versions, failed set-ups, waiting operations and mail. Changes nothing; it may run beside the server.
The exit code is 0 when there is nothing to do and 1 when there is.

With --fleet every institution's database is opened with its own rights and looked into: version, schema, damage, rights,
backups. The report is kept for the page of the doctor.

Examples:
  provost doctor
  provost doctor --fleet
  provost doctor --json | jq '.findings[].remedy'";

pub(super) fn run(config: &Config, fleet: bool, as_json: bool) -> Outcome {
    let (checks, report) = match open_existing(config) {
        Ok(platform) => {
            let checks = doctor::examine(&platform);
            let report = fleet.then(|| round(&platform)).transpose()?;
            platform.close();
            (checks, report)
        }
        Err(problem) => (vec![cannot_open(problem)], None),
    };
    let findings: Vec<&Finding> = checks.iter().flat_map(|check| &check.findings).collect();
    let healthy = findings.is_empty() && report.as_ref().is_none_or(|report| report.findings.is_empty());
    if as_json {
        print_json(&json!({ "healthy": healthy, "findings": findings, "checks": checks, "fleet": report }))?;
    } else {
        checks.iter().for_each(print);
        report.iter().for_each(print_report);
    }
    match findings.len() + report.map_or(0, |report| report.findings.len()) {
        0 => Ok(()),
        count => Err(format!("{} doing.", counted(count, "thing needs", "things need"))),
    }
}

fn round(platform: &Platform) -> Result<Report, String> {
    let report = fleet_doctor::examine(platform, &|_, _| Ok(())).map_err(sentence)?;
    fleet_doctor::keep(platform, &report).map_err(sentence)?;
    Ok(report)
}

fn print_report(report: &Report) {
    let mark = if report.findings.is_empty() { "ok" } else { "problem" };
    let count = counted(report.tenants, "database", "databases");
    print_line(&format!("{mark:<8} The fleet: {count} looked into in {} ms", report.milliseconds));
    for finding in &report.findings {
        print_line(&format!("         {} ({})", finding.problem, finding.count));
        for named in finding.tenants.iter().take(MOST_NAMED) {
            print_line(&format!("           {} {}", named.domain, named.detail));
        }
        if finding.count > MOST_NAMED {
            print_line(&format!("           and {} more", finding.count - MOST_NAMED));
        }
        print_line(&format!("         -> {}", finding.remedy));
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
