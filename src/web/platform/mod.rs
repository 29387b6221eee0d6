//! The pages of the platform: what super admins decide, watch and set.

mod acting;
pub mod admins;
pub mod alerts;
pub mod announcements;
pub mod audit;
pub mod backups;
mod cut_off;
pub mod databases;
pub mod doctor;
pub mod emptying;
pub mod export;
mod figures;
pub mod home;
pub mod institutions;
pub mod invitation;
pub mod keeping;
pub mod leaks;
pub mod leaving;
mod list_file;
pub mod log_archives;
pub mod maintenance;
pub mod migrations;
pub mod move_institution;
pub mod operations;
pub mod plans;
pub mod reconciliation;
pub mod registration_decisions;
pub mod registration_import;
pub mod registrations;
pub mod sandbox;
pub mod servers;
pub mod settings;
pub mod subscription;
pub mod support_access;
pub mod suspension;
pub mod webhooks;

use actix_web::HttpRequest;

use super::{
    State,
    badge::{Badge, Tone},
    forms::ChoiceOf,
    list::{Filter, ListQuery, ListSpec},
    record::Entry,
    time::Clock,
};
use crate::{
    error::AppError,
    models::{
        country::Country,
        platform::{
            admins::{AdminRole, AdminStatus},
            announcements::{Audience, Level},
            institutions::{Kind, Status, StatusChange, countries},
            registrations::{Source, Stand},
        },
    },
};

macro_rules! choices {
    ($($kind:ty),+) => {
        $(impl ChoiceOf for $kind {
            fn all() -> &'static [Self] { Self::ALL }
            fn value(self) -> &'static str { self.as_str() }
            fn label(self) -> &'static str { self.label() }
        })+
    };
}
choices!(Kind, Status, Stand, Source, AdminStatus, AdminRole, Level, Audience);

/// The list that an address asks for, by a declaration whose country filter offers the countries there are.
async fn asked(
    request: &HttpRequest,
    platform: &State,
    spec: fn(Filter) -> ListSpec,
) -> Result<(ListSpec, ListQuery), AppError> {
    let spec = spec(country_filter(platform).await?);
    let query = ListQuery::parse(&spec, request.query_string());
    Ok((spec, query))
}

/// A filter that offers the countries that institutions are in.
async fn country_filter(platform: &State) -> Result<Filter, AppError> {
    let mut codes = platform.shared.run(countries).await?;
    codes.sort_by_cached_key(|code| country_name(code));
    let choices = codes.into_iter().map(|code| (code.clone(), country_name(&code)));
    Ok(Filter::one_of("country", "Country", choices))
}

/// How an institution stands, as word, colour and icon.
pub(super) fn status_badge(status: Status) -> Badge {
    let tone = match status {
        Status::PendingApproval => Tone::Waiting,
        Status::Provisioning => Tone::Working,
        Status::Active => Tone::Good,
        Status::Suspended => Tone::Held,
        Status::ProvisioningFailed | Status::Rejected => Tone::Bad,
        Status::Archived | Status::Deleted => Tone::Past,
    };
    Badge::new(tone, status.label())
}

fn stand_badge(stand: Stand) -> Badge {
    let tone = match stand {
        Stand::Waiting => Tone::Waiting,
        Stand::Approved => Tone::Good,
        Stand::Rejected => Tone::Bad,
    };
    Badge::new(tone, stand.label())
}

/// The name of a stored country code.
pub(super) fn country_name(code: &str) -> String {
    Country::from_code(code).map_or_else(|| code.to_owned(), |country| country.name().to_owned())
}

/// The history of an institution's status as a timeline.
fn history(clock: &Clock, changes: Vec<StatusChange>) -> Vec<Entry> {
    let entry = |change: StatusChange| {
        let what = match (change.to_status, change.from_status) {
            (Status::PendingApproval, Some(Status::Rejected)) => "reopened the registration",
            (Status::PendingApproval, _) => "registered the institution",
            (Status::Provisioning, Some(Status::ProvisioningFailed)) => "started the set-up again",
            (Status::Provisioning, _) => "approved the registration",
            (Status::ProvisioningFailed, _) => "could not finish the set-up",
            (Status::Active, Some(Status::Suspended)) => "reactivated the institution",
            (Status::Active | Status::Suspended, Some(Status::Archived)) => "brought the institution back",
            (Status::Active, _) => "finished the set-up",
            (Status::Suspended, _) => "suspended the institution",
            (Status::Rejected, _) => "rejected the registration",
            (Status::Archived, _) => "archived the institution",
            (Status::Deleted, _) => "deleted the institution",
        };
        Entry::new(clock.when(change.at), change.actor_name, what).detail(change.reason.unwrap_or_default())
    };
    changes.into_iter().map(entry).collect()
}
