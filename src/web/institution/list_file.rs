//! A list of an institution as a file: the activity log keeps who took it, and then its rows are sent in pieces.

use actix_web::HttpResponse;

use crate::{
    db::tenant::TenantConn,
    error::AppError,
    models::{
        ModelResult,
        institution::activity::{Activity, Change},
    },
    web::{auth::InstitutionUser, csv_file::CsvFile, list::ListQuery},
};

/// Rows `T` that match a filter `F`, in the order of their keys `K`.
pub(super) struct ListFile<F, T, K> {
    /// Under which name it is kept.
    pub name: &'static str,
    /// What the activity log calls taking it.
    pub action: &'static str,
    /// The kind of record it is of.
    pub kind: &'static str,
    /// The first line.
    pub heads: &'static [&'static str],
    /// Where a row stands in the order of the file. No two rows stand at the same place.
    pub key: fn(&T) -> K,
    /// The cells of a row.
    pub cells: fn(T) -> Vec<String>,
    /// Reads up to [`CHUNK`](crate::web::csv_file::CHUNK) rows after a key.
    pub after: fn(&mut TenantConn, &F, Option<K>) -> ModelResult<Vec<T>>,
}

/// What somebody takes away.
pub(super) struct Taken<F> {
    /// The list as it was asked for.
    pub query: ListQuery,
    /// How much it is, in words.
    pub label: String,
    /// Which rows.
    pub filter: F,
}

impl<F, T, K> ListFile<F, T, K>
where
    F: Clone + Send + 'static,
    T: Send + 'static,
    K: Send + 'static,
{
    /// Notes who takes what, as `look` finds it on the same visit, and sends every row that matches.
    ///
    /// # Errors
    /// That of the look, the note or the first rows; whoever has no note gets no file.
    pub async fn send(
        self,
        user: &InstitutionUser,
        look: impl FnOnce(&mut TenantConn) -> ModelResult<Taken<F>> + Send + 'static,
    ) -> Result<HttpResponse, AppError> {
        let (log, action, kind) = (user.activity(), self.action, self.kind);
        let noted = move |c: &mut TenantConn| {
            let Taken { query, label, filter } = look(c)?;
            note(c, &log, (action, kind), &label, &query)?;
            ModelResult::Ok(filter)
        };
        let filter = user.db.run(noted).await?;
        let (db, after) = (user.db.clone(), self.after);
        let file = CsvFile { name: self.name, heads: self.heads, key: self.key, cells: self.cells };
        file.stream(move |last| {
            let (db, filter) = (db.clone(), filter.clone());
            async move { Ok(db.run(move |c| after(c, &filter, last)).await?) }
        })
        .await
    }
}

fn note(
    connection: &mut TenantConn,
    log: &Activity,
    (action, kind): (&str, &str),
    label: &str,
    query: &ListQuery,
) -> ModelResult<()> {
    let narrowed = query.narrowed_by();
    let changes: Vec<Change> =
        narrowed.into_iter().map(|(key, value)| Change::new(key, None, Some(value))).collect();
    connection.write_tx(|c| log.record(c, action, kind, None, label, &changes))
}
