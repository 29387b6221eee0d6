//! The activity log in words: deeds, fields and values as people call them.

use std::borrow::Cow;

use crate::{
    models::institution::{
        activity::{Change, Entry},
        profile::WeekStart,
        students::StudentStatus,
        users::{Role, UserStatus},
    },
    web::{
        record::{Change as ShownChange, Entry as ShownEntry},
        time::Clock,
    },
};

/// Every action: its words after a name ("Ada *archived student* Zoë"), and alone.
pub const ACTIONS: &[(&str, &str, &str)] = &[
    ("student.created", "added student", "Added student"),
    ("student.updated", "changed student", "Changed student"),
    ("student.archived", "archived student", "Archived student"),
    ("student.restored", "restored student", "Restored student"),
    ("students.archived", "archived", "Archived several"),
    ("students.restored", "restored", "Restored several"),
    ("students.imported", "imported students from", "Imported students"),
    ("students.exported", "exported", "Exported students"),
    ("users.exported", "exported", "Exported users"),
    ("institution_data.gathered", "made an export of", "Made export"),
    ("institution_data.exported", "took the export of", "Took export"),
    ("activity.exported", "exported from the activity log", "Exported activity log"),
    ("user.created", "set up user", "Set up user"),
    ("user.invited", "invited", "Invited user"),
    ("user.accepted", "accepted the invitation as", "Accepted invitation"),
    ("user.updated", "changed user", "Changed user"),
    ("user.disabled", "disabled user", "Disabled user"),
    ("user.enabled", "enabled user", "Enabled user"),
    ("user.removed", "removed user", "Removed user"),
    ("user.reset_sent", "sent a password reset to", "Sent password reset"),
    ("user.signed_out", "ended all sessions of", "Ended all sessions"),
    ("user.password_changed", "changed the password of", "Changed password"),
    ("support.opened", "of the platform was let in to look, because:", "Support of the platform came in"),
    ("support.ended", "of the platform left", "Support of the platform left"),
    ("settings.updated", "changed the settings of", "Changed settings"),
];

/// The kinds of record, for the filter.
pub const KINDS: &[(&str, &str)] = &[
    ("student", "Student"),
    ("students", "Several students"),
    ("activity", "Activity log"),
    ("user", "User"),
    ("institution", "Institution"),
    ("support", "Support of the platform"),
    ("institution_data", "Export of everything"),
];

/// What was done, to be read between a name and a record.
pub fn deed(action: &str) -> &str {
    ACTIONS.iter().find(|(known, ..)| *known == action).map_or(action, |(_, words, _)| words)
}

/// What was done, to be read after a name on the record's own page.
fn deed_here(action: &str) -> &str {
    match action {
        "user.invited" => "invited this user",
        "user.accepted" => "accepted the invitation",
        "user.reset_sent" => "sent a link to a new password",
        "user.signed_out" => "ended all sessions",
        "user.password_changed" => "changed the password",
        other => deed(other),
    }
}

/// What was done, to be read alone.
pub fn deed_alone(action: &str) -> &str {
    ACTIONS.iter().find(|(known, ..)| *known == action).map_or(action, |(.., words)| words)
}

/// What changed, in a line: the fields of a changed record, the numbers of a bulk act. A new record's
/// fields stand on its own page.
pub fn summary(entry: &Entry) -> String {
    let changes = entry.changes();
    let words: Vec<String> = if matches!(entry.record_kind.as_str(), "students" | "activity") {
        let some = changes.iter().filter(|change| change.after.as_deref() != Some("0"));
        some.map(change).map(|change| format!("{}: {}", change.field, change.after)).collect()
    } else if is_a_change(entry) {
        changes.iter().map(|change| field(&change.field).into_owned()).collect()
    } else {
        Vec::new()
    };
    words.join(", ")
}

/// Whether fields of a record that was there changed. What was typed when it was made stands on its page
/// already; a field that was empty until now is a change like any other.
fn is_a_change(entry: &Entry) -> bool {
    entry.action.ends_with(".updated") || entry.changes().iter().any(|change| change.before.is_some())
}

/// A field as the forms call it.
pub fn field(name: &str) -> Cow<'static, str> {
    let known = match name {
        "student_number" => "Student number",
        "name" => "Name",
        "preferred_name" => "Preferred name",
        "birth_date" => "Date of birth",
        "email" => "E-mail",
        "phone" => "Phone",
        "address" => "Address",
        "status" => "Status",
        "admission_year" => "Admission year",
        "programme" => "Programme",
        "notes" => "Notes",
        "roles" => "Roles",
        "students" => "Students",
        "q" => "Search",
        "year" => "Admission year",
        "created" => "Added",
        "updated" => "Changed",
        "kind" => "Kind",
        "country" => "Country",
        "website" => "Website",
        "time_zone" => "Time zone",
        "locale" => "Dates",
        "week_start" => "First day of the week",
        other => return Cow::Owned(other.replace('_', " ")),
    };
    Cow::Borrowed(known)
}

/// A stored value as the forms show it.
pub fn value(field: &str, stored: &str) -> String {
    let status = || {
        let student = stored.parse().map(StudentStatus::label);
        student.or_else(|_| stored.parse().map(UserStatus::label)).ok()
    };
    let known = match field {
        "status" => status(),
        "week_start" => stored.parse().map(WeekStart::label).ok(),
        "roles" => {
            let roles: Vec<&str> =
                stored.split(", ").filter_map(|word| word.parse().map(Role::label).ok()).collect();
            return roles.join(", ");
        }
        _ => None,
    };
    known.map_or_else(|| stored.to_owned(), str::to_owned)
}

/// A change as it is shown; an empty value is an empty text.
pub fn change(change: &Change) -> ShownChange {
    let words = |stored: &Option<String>| {
        stored.as_deref().map(|text| value(&change.field, text)).unwrap_or_default()
    };
    ShownChange {
        field: field(&change.field).into_owned(),
        before: words(&change.before),
        after: words(&change.after),
    }
}

/// An entry of a history; `about` names the record when the page is not about it alone.
pub fn shown(clock: &Clock, entry: &Entry, about: Option<&str>) -> ShownEntry {
    let what = match about {
        Some(label) => format!("{} {label}", deed(&entry.action)),
        None => deed_here(&entry.action).to_owned(),
    };
    let mut shown = ShownEntry::new(clock.when(entry.at), entry.actor_name.clone(), what);
    if entry.action == "students.imported" {
        shown.detail = Some(summary(entry));
    }
    if is_a_change(entry) {
        shown.changes = entry.changes().iter().map(change).collect();
    }
    shown
}
