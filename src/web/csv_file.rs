//! Lists as CSV files: read by key and sent in bounded pieces, however many rows there are.

use actix_web::{HttpResponse, web::Bytes};
use chrono::NaiveDateTime;
use futures_util::{StreamExt, future::ready, stream};

use super::respond::csv_download;
use crate::{error::AppError, services::csv_text::CsvWriter};

/// Rows read at a time.
pub const CHUNK: i64 = 1_000;

/// A list as a file: rows `T`, each with a key `K` after which the next ones are read.
pub struct CsvFile<T, K> {
    /// Under which name it is kept.
    pub name: &'static str,
    /// The first line.
    pub heads: &'static [&'static str],
    /// Where a row stands in the order of the file. No two rows stand at the same place.
    pub key: fn(&T) -> K,
    /// The cells of a row.
    pub cells: fn(T) -> Vec<String>,
}

impl<T: 'static, K: 'static> CsvFile<T, K> {
    /// Sends it. `read` gives up to [`CHUNK`] rows after a key, and holds no connection in between. What fails
    /// before the first piece is an error page; later the download breaks off, so that nobody takes half for all.
    ///
    /// # Errors
    /// That of the first `read`.
    pub async fn stream<R, F>(self, mut read: R) -> Result<HttpResponse, AppError>
    where
        R: FnMut(Option<K>) -> F + 'static,
        F: Future<Output = Result<Vec<T>, AppError>> + 'static,
    {
        let mut csv = CsvWriter::new();
        csv.row(self.heads);
        let mut answer = csv_download(self.name);
        let (piece, last) = self.piece(&mut csv, read(None).await?);
        let first = stream::once(ready(Ok::<_, actix_web::Error>(piece)));
        let rest =
            stream::try_unfold((self, last, csv, read), |(file, last, mut csv, mut read)| async move {
                let Some(last) = last else { return Ok(None) };
                // Beside the body, which nobody looks at while it is not taken: a wait for a connection goes on there.
                let rows = actix_web::rt::spawn(read(Some(last)));
                let rows = rows.await.map_err(|error| AppError::internal(error.to_string()))??;
                let (piece, last) = file.piece(&mut csv, rows);
                Ok(Some((piece, (file, last, csv, read))))
            });
        Ok(answer.streaming(first.chain(rest)))
    }

    /// The rows as text, and the key to go on from; none at the end.
    fn piece(&self, csv: &mut CsvWriter, rows: Vec<T>) -> (Bytes, Option<K>) {
        let full = i64::try_from(rows.len()) == Ok(CHUNK);
        let last = rows.last().filter(|_| full).map(self.key);
        rows.into_iter().for_each(|row| csv.row((self.cells)(row)));
        (Bytes::from(csv.take()), last)
    }
}

/// A moment as files say it: in UTC, to the second.
#[must_use]
pub fn moment(at: NaiveDateTime) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}
