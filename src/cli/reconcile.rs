//! `provost reconcile`: where the registry and what is really there differ, and mending it.

use serde::Serialize;

use super::{
    Outcome, open_existing,
    output::{confirm, counted, print_json, print_table, sentence},
};
use crate::{
    config::Config,
    db::now,
    models::{
        Actor, Paging,
        platform::reconciliation::{self, FindingFilter, FindingRow},
    },
    services::{reconcile, servers::Unheard},
};

pub(super) const EXAMPLES: &str = "\
Looks for institutions without a database, databases, roles, copies, folders and files without a row, half-made
institutions, and schema versions that differ. With --repair it mends what can be mended without a decision;
databases that nobody knows are removed only when they were seen for 7 days. A server that does not answer is told of as
unheard_server, and nothing is said of what is there. The exit code is 0 when all were asked and nothing differs.

Examples:
  provost reconcile --json
  provost reconcile --repair --yes";

#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Wanted {
    /// Mend what can be mended
    #[arg(long)]
    repair: bool,
    /// Do not ask; without a terminal nobody is asked
    #[arg(long)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    kind: &'static str,
    subject: String,
    domain: Option<String>,
    detail: String,
    remedy: &'static str,
    first_seen_at: Option<String>,
    repaired: bool,
    error: Option<String>,
}

impl From<Unheard> for Listed {
    fn from(one: Unheard) -> Self {
        Self {
            kind: "unheard_server",
            detail: one.sentence(),
            subject: one.server.name,
            domain: None,
            remedy: "Start the server, or correct its address; what is there is not known until it answers.",
            first_seen_at: None,
            repaired: false,
            error: None,
        }
    }
}

pub(super) fn run(config: &Config, wanted: Wanted) -> Outcome {
    let platform = open_existing(config)?;
    let (_, unheard) = reconcile::refresh(&platform).map_err(sentence)?;
    let everything = Paging { sort: "subject".into(), descending: false, limit: i64::MAX, offset: 0 };
    let rows = {
        let mut connection = platform.shared.get().map_err(sentence)?;
        let page = reconciliation::page(&mut connection, &FindingFilter::default(), &everything);
        page.map_err(sentence)?.rows
    };
    let mendable = rows.iter().filter(|row| row.finding.may_be_repaired(now())).count();
    if wanted.repair && mendable > 0 {
        confirm(&format!("{} mended.", counted(mendable, "difference is", "differences are")), wanted.yes)?;
    }
    let audit = platform.audit(Actor::command_line());
    let mut listed: Vec<Listed> = unheard.into_iter().map(Listed::from).collect();
    for FindingRow { finding, domain } in rows {
        let tried = wanted.repair && finding.may_be_repaired(now());
        let outcome = tried.then(|| reconcile::repair(&platform, &audit, finding.id));
        listed.push(Listed {
            kind: finding.kind.as_str(),
            subject: finding.subject,
            domain,
            detail: finding.detail,
            remedy: finding.kind.remedy(),
            first_seen_at: Some(finding.first_seen_at.to_string()),
            repaired: matches!(outcome, Some(Ok(_))),
            error: outcome.and_then(Result::err).map(|failure| failure.to_string()),
        });
    }
    platform.close();
    if wanted.json {
        print_json(&listed)?;
    } else {
        let cells = |row: &Listed| {
            let state = match (&row.error, row.repaired) {
                (Some(error), _) => error.clone(),
                (None, true) => "Mended.".to_owned(),
                (None, false) => row.remedy.to_owned(),
            };
            [row.kind.to_owned(), row.subject.clone(), state]
        };
        print_table(["DIFFERENCE", "WHAT", "TO DO"], &listed.iter().map(cells).collect::<Vec<_>>());
    }
    match listed.iter().filter(|row| !row.repaired).count() {
        0 => Ok(()),
        left => Err(format!("{} left.", counted(left, "difference is", "differences are"))),
    }
}
