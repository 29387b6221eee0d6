//! The institution's overview: how many students, what to do next, what happened.

use actix_web::HttpResponse;
use askama::Template;

use super::activity_words;
use crate::{
    error::AppError,
    models::{
        ModelResult,
        institution::{
            activity, profile,
            students::{self, StudentStatus},
            users,
        },
    },
    web::{
        auth::InstitutionUser,
        icons::Icon,
        page::{Action, Page},
        record::Timeline,
        respond::html,
        stat::Stat,
    },
};

/// Entries of the log on the overview.
const RECENT: usize = 8;

#[derive(Template)]
#[template(path = "institution/home.html")]
struct HomeView {
    page: Page,
    tiles: Vec<Stat>,
    todos: Vec<Todo>,
    timeline: Timeline,
}

/// Something worth doing next.
struct Todo {
    icon: Icon,
    title: &'static str,
    text: &'static str,
    action: Action,
}

/// `GET /i/{domain}`: every user.
pub async fn show(user: InstitutionUser) -> Result<HttpResponse, AppError> {
    let (profile, counts, colleagues, recent) = user
        .db
        .run(|c| {
            let recent = activity::recent(c, RECENT)?;
            ModelResult::Ok((profile::find(c)?, students::counts(c)?, users::count(c)?, recent))
        })
        .await?;
    let students = user.path("/students");
    let mut tiles = Vec::new();
    if counts.total() > 0 {
        tiles.push(Stat::new("Students", counts.total()).href(students.clone()));
    }
    tiles.extend(StudentStatus::ALL.iter().filter(|status| counts.of(**status) > 0).map(|status| {
        Stat::new(status.label(), counts.of(*status)).href(format!("{students}?status={status}"))
    }));
    if counts.archived > 0 {
        tiles.push(Stat::new("Archived", counts.archived).href(format!("{students}?archived=yes")));
    }
    let mut todos = Vec::new();
    if user.may_write() && counts.total() + counts.archived == 0 {
        todos.push(Todo {
            icon: Icon::Upload,
            title: "Bring in your students",
            text: "Import a file from a spreadsheet; you see what would happen before it does.",
            action: Action::link("Import students", user.path("/students/import")),
        });
    }
    if user.is_owner() && colleagues < 2 {
        todos.push(Todo {
            icon: Icon::UserPlus,
            title: "Invite a colleague",
            text: "You are the only one who can sign in here. A second owner can help when you cannot.",
            action: Action::link("Invite user", user.path("/users/new")),
        });
    }
    if user.is_owner() && profile.website.is_none() {
        todos.push(Todo {
            icon: Icon::Settings,
            title: "Complete the profile",
            text: "Check the name, the time zone and how dates are written, and add the website.",
            action: Action::link("Open settings", user.path("/settings")),
        });
    }
    let entries = recent
        .iter()
        .map(|entry| activity_words::shown(&user.clock, entry, Some(&entry.record_label)))
        .collect();
    let timeline = Timeline { entries, more: Some(Action::link("All activity", user.path("/activity"))) };
    Ok(html(&HomeView { page: user.page("Overview"), tiles, todos, timeline })?)
}
