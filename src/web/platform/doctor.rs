//! `/platform/doctor`: what was wrong with institutions' databases when all of them were last looked into.

use actix_web::HttpResponse;

use super::maintenance::asked;
use crate::{
    error::AppError,
    services::{
        fleet_doctor::{self, FleetFinding, Named},
        upkeep::Task,
    },
    web::{
        State,
        auth::Operator,
        badge::{Badge, Tone},
        cell::Cell,
        icons::Icon,
        list::{Column, ListSpec, ListView, Row},
        page::{Action, Notice},
        record::{Record, RecordPage, Section},
        respond::html,
        time::Clock,
        words::Noun,
    },
};

pub(super) const PATH: &str = "/platform/doctor";
const INSTITUTIONS: Noun = Noun::new("institution", "institutions");
const COLUMNS: &[Column] = &[Column::new("institution", "Institution"), Column::new("seen", "What was seen")];

/// `GET /platform/doctor`: operators.
pub async fn show(platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    let newest = platform.shared.run(fleet_doctor::newest).await?;
    let page = admin
        .page("Doctor")
        .crumb("Maintenance", "/platform/maintenance")
        .intro("Opens every institution's database with its own rights and looks for what is wrong. Changes nothing.")
        .action(Action::post("Look again", PATH).icon(Icon::Refresh));
    let Some((at, report)) = newest else {
        let notice = Notice::info(
            "Nobody has looked yet. Look now: it takes a few seconds for a hundred institutions.",
        );
        return Ok(html(&RecordPage::new(page, Record::new().notice(notice)))?);
    };
    let grave = report.findings.iter().any(|finding| finding.urgent);
    let badge = match (report.findings.is_empty(), grave) {
        (true, _) => Badge::new(Tone::Good, "Healthy"),
        (_, true) => Badge::new(Tone::Bad, "Needs somebody"),
        _ => Badge::new(Tone::Waiting, "Needs somebody soon"),
    };
    let number = |count: usize| Cell::number(i64::try_from(count).unwrap_or(i64::MAX));
    let mut summary = Section::new("Last look")
        .fact("When", Cell::time(&Clock::utc(), at))
        .fact("Institutions looked into", number(report.tenants));
    for finding in &report.findings {
        let remedy = finding.remedy.as_str();
        summary = summary.fact(finding.problem.as_str(), number(finding.count).note(remedy));
    }
    let mut record = Record::new().section(summary);
    for finding in report.findings {
        record = record.list(finding.problem.clone(), tenants(finding));
    }
    Ok(html(&RecordPage::new(page.badge(badge), record))?)
}

fn tenants(finding: FleetFinding) -> ListView {
    let row = |named: Named| {
        let row = match named.domain.is_empty() {
            true => Row::plain("platform").cell("The platform"),
            false => Row::new(&named.domain, format!("{}/{}", super::institutions::PATH, named.domain))
                .cell(named.domain.as_str()),
        };
        row.cell(named.detail)
    };
    let region = match finding.complaint {
        fleet_doctor::Complaint::Unreachable => "unreachable",
        fleet_doctor::Complaint::Damaged => "damaged",
        fleet_doctor::Complaint::OpenDoors => "open-doors",
        fleet_doctor::Complaint::OtherVersion => "other-version",
        fleet_doctor::Complaint::Drift => "drift",
        fleet_doctor::Complaint::BrokenReferences => "broken-references",
        fleet_doctor::Complaint::Backup => "backup",
        fleet_doctor::Complaint::Clock => "clock",
    };
    let rows = finding.tenants.into_iter().map(row).collect();
    ListView::plain(ListSpec::new(PATH, INSTITUTIONS, COLUMNS), rows).region(region)
}

/// `POST /platform/doctor`: operators.
pub async fn look(platform: State, admin: Operator) -> Result<HttpResponse, AppError> {
    asked(&platform, &admin, Task::Examine, None, PATH).await
}
