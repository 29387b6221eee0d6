//! A list of the platform as a file: the audit log keeps who took it, and then its rows are sent in pieces.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use crate::{
    db::shared::SharedConn,
    error::AppError,
    models::{ModelResult, Paging, Slice, platform::audit::Subject},
    web::{
        State,
        auth::AnyAdmin,
        csv_file::{CHUNK, CsvFile},
        list::ListQuery,
    },
};

/// How a model reads one page of its list.
type ReadPage<F, P> = fn(&mut SharedConn, &F, &Paging) -> ModelResult<Slice<P>>;
/// How it reads so many rows after a key.
type ReadAfter<F, T, K> = fn(&mut SharedConn, &F, Option<K>, i64) -> ModelResult<Vec<T>>;

/// Rows `T` that match a filter `F`, in the order of their keys `K`; `P` is what the page shows of them.
pub(super) struct ListFile<F, T, K, P> {
    /// Under which name it is kept, and named in the audit log.
    pub name: &'static str,
    /// What the audit log calls taking it.
    pub action: &'static str,
    /// The first line.
    pub heads: &'static [&'static str],
    /// Where a row stands in the order of the file. No two rows stand at the same place.
    pub key: fn(&T) -> K,
    /// The cells of a row.
    pub cells: fn(T) -> Vec<String>,
    /// Only counts, for the note.
    pub page: ReadPage<F, P>,
    /// Reads what is sent.
    pub after: ReadAfter<F, T, K>,
}

impl<F, T, K, P> ListFile<F, T, K, P>
where
    F: Clone + Send + 'static,
    T: Send + 'static,
    K: Send + 'static,
    P: 'static,
{
    /// Notes who takes it, narrowed by what, and sends every row that matches.
    ///
    /// # Errors
    /// That of the note or of the first rows; whoever has no note gets no file.
    pub async fn send(
        self,
        platform: &State,
        admin: &AnyAdmin,
        query: &ListQuery,
        filter: F,
    ) -> Result<HttpResponse, AppError> {
        self.note(platform, admin, query, filter.clone()).await?;
        let (platform, after) = (platform.clone(), self.after);
        let file = CsvFile { name: self.name, heads: self.heads, key: self.key, cells: self.cells };
        file.stream(move |last| {
            let (platform, filter) = (platform.clone(), filter.clone());
            async move { Ok(platform.shared.run(move |c| after(c, &filter, last, CHUNK)).await?) }
        })
        .await
    }

    async fn note(
        &self,
        platform: &State,
        admin: &AnyAdmin,
        query: &ListQuery,
        filter: F,
    ) -> Result<(), AppError> {
        let (name, action, page) = (self.name, self.action, self.page);
        let (audit, paging) = (admin.audit(platform), Paging { limit: 0, ..query.paging() });
        let narrowed: Map<String, Value> =
            query.narrowed_by().into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        let note = move |c: &mut SharedConn| {
            let detail = json!({ "rows": page(c, &filter, &paging)?.total, "narrowed_by": narrowed });
            let subject = Subject { kind: "export", id: None, label: name, institution_id: None };
            c.write_tx(|c| audit.record(c, action, &subject, &detail))
        };
        Ok(platform.shared.run(note).await?)
    }
}
