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
        csv_file::{CHUNK, CsvFile, moment},
        institution::note_export,
        list::ListQuery,
    },
};

/// `GET /i/{domain}/users.csv`: owners; all that match, the newest first.
pub async fn csv(user: Owner, request: HttpRequest) -> Result<HttpResponse, AppError> {
    const HEADS: &[&str] = &["Name", "E-mail", "Roles", "Status", "Last sign-in (UTC)", "Added (UTC)"];
    let query = ListQuery::parse(&spec(user.path("/users")), request.query_string());
    let (filter, log) = (filter(&query), user.activity());
    let counted = filter.clone();
    user.db
        .run(move |c| {
            let none = Paging { limit: 0, ..query.paging() };
            let label = NOUN.count(users::page(c, &counted, &none)?.total);
            note_export(c, &log, ("users.exported", "users"), &label, &query)
        })
        .await?;
    let db = user.db.clone();
    let file = CsvFile { name: "users.csv", heads: HEADS, key: |user: &User| user.id, cells };
    file.stream(move |last| {
        let (db, filter) = (db.clone(), filter.clone());
        async move { Ok(db.run(move |c| users::older_than(c, &filter, last, CHUNK)).await?) }
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
