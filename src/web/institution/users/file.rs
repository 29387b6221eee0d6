//! The list of users as a file.

use actix_web::{HttpRequest, HttpResponse};

use super::{NOUN, filter, role_words, spec};
use crate::{
    error::AppError,
    models::{
        Paging,
        institution::users::{self, User},
    },
    web::{
        auth::Owner,
        csv_file::{CHUNK, moment},
        institution::list_file::{ListFile, Taken},
        list::ListQuery,
    },
};

/// `GET /i/{domain}/users.csv`: owners; all that match, the newest first.
pub async fn csv(user: Owner, request: HttpRequest) -> Result<HttpResponse, AppError> {
    const HEADS: &[&str] = &["Name", "E-mail", "Roles", "Status", "Last sign-in (UTC)", "Added (UTC)"];
    let query = ListQuery::parse(&spec(user.path("/users")), request.query_string());
    ListFile {
        name: "users.csv",
        action: "users.exported",
        kind: "users",
        heads: HEADS,
        key: |user: &User| user.id,
        cells,
        after: |c, filter, last| users::older_than(c, filter, last, CHUNK),
    }
    .send(&user, move |c| {
        let (filter, none) = (filter(&query), Paging { limit: 0, ..query.paging() });
        let label = NOUN.count(users::page(c, &filter, &none)?.total);
        Ok(Taken { query, label, filter })
    })
    .await
}

fn cells(user: User) -> Vec<String> {
    vec![
        user.name,
        user.email,
        role_words(&user.roles),
        user.status.label().to_owned(),
        user.last_sign_in_at.map(moment).unwrap_or_default(),
        moment(user.created_at),
    ]
}
