//! `/notifications`: what everybody who is signed in should know, and putting announcements away.

use actix_web::{HttpRequest, HttpResponse};

use super::{account::SignedIn, identity};
use crate::{
    error::AppError,
    models::platform::notifications::{self, Notification, NotificationFilter},
    web::{
        RecordId, State,
        badge::{Badge, Tone},
        cell::Cell,
        forms::FormData,
        icons::Icon,
        list::{Column, Dir, Filter, ListPage, ListQuery, ListSpec, ListView, Row},
        page::{Action, Notice},
        respond::{html, local_path, see_other},
        words::Noun,
    },
};

const PATH: &str = "/notifications";

const COLUMNS: &[Column] =
    &[Column::new("text", "What"), Column::new("at", "When").sortable(), Column::new("state", "State")];

fn spec() -> ListSpec {
    ListSpec::new(PATH, Noun::new("notification", "notifications"), COLUMNS)
        .sorted_by("at", Dir::Desc)
        .search("Words of it")
        .filter(Filter::one_of("unread", "Unread", [("yes", "Yes"), ("no", "No")]))
        .empty(
            "Nothing to tell",
            "What needs your attention is told here, and counted beside the bell.",
            None,
        )
}

/// `GET /notifications`: everybody who is signed in; their own.
pub async fn list(me: SignedIn, platform: State, request: HttpRequest) -> Result<HttpResponse, AppError> {
    let spec = spec();
    let query = ListQuery::parse(&spec, request.query_string());
    let filter = NotificationFilter {
        recipient: me.account().user_id,
        q: query.q().unwrap_or_default().to_owned(),
        unread: query.filter("unread").map(|value| value == "yes"),
    };
    let paging = query.paging();
    let slice = platform.shared.run(move |c| notifications::page(c, &filter, &paging)).await?;
    let clock = me.somebody().clock();
    let row = |known: Notification| {
        let row = Row::new(known.id, known.href).cell(known.text).cell(Cell::time(&clock, known.created_at));
        match known.read_at {
            None => row
                .cell(Badge::new(Tone::Waiting, "Unread"))
                .action(Action::post("Mark as read", format!("{PATH}/{}/reading", known.id))),
            Some(_) => row.cell(Badge::new(Tone::Past, "Read")),
        }
    };
    let rows = slice.rows.into_iter().map(row).collect();
    let page = me
        .somebody()
        .page("Notifications")
        .also(Action::post("Mark all as read", format!("{PATH}/readings")).icon(Icon::Check));
    Ok(html(&ListPage::new(page, ListView::new(spec, query, slice.total, rows)))?)
}

/// `POST /notifications/{id}/reading`: everybody who is signed in. What is not theirs, or read, stays as it is.
pub async fn mark_read(
    me: SignedIn,
    platform: State,
    RecordId(id): RecordId,
) -> Result<HttpResponse, AppError> {
    let recipient = me.account().user_id;
    platform.shared.run(move |c| notifications::mark_read(c, recipient, Some(id))).await?;
    Ok(see_other(PATH))
}

/// `POST /notifications/readings`: everybody who is signed in; all of theirs.
pub async fn mark_all_read(me: SignedIn, platform: State) -> Result<HttpResponse, AppError> {
    let recipient = me.account().user_id;
    let read = platform.shared.run(move |c| notifications::mark_read(c, recipient, None)).await?;
    if read > 0 {
        identity::flash(me.session(), Notice::success("All are marked as read."))?;
    }
    Ok(see_other(PATH))
}

/// `POST /announcements/{id}/dismissal`: everybody who is signed in; put away until they sign in again.
pub async fn dismiss(me: SignedIn, RecordId(id): RecordId, data: FormData) -> Result<HttpResponse, AppError> {
    identity::dismiss(me.session(), id)?;
    Ok(see_other(local_path(data.get("return").unwrap_or_default())))
}
