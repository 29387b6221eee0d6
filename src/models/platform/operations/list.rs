//! The list of operations: its filters and its pages.

use diesel::prelude::*;

use super::{Kind, Operation, OperationStatus};
use crate::{
    db::{Id, schema_shared::operations, shared::SharedConn},
    models::{ModelResult, Paging, Slice, containing, ordered, platform::SharedBackend, search::lower},
};

/// Filters of the operations page.
#[derive(Debug, Clone, Default)]
pub struct OperationFilter {
    /// Words in the subject.
    pub q: String,
    /// Only this status.
    pub status: Option<OperationStatus>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only this institution.
    pub institution_id: Option<Id>,
}

fn matching<'a>(filter: &OperationFilter) -> operations::BoxedQuery<'a, SharedBackend> {
    let mut query = containing!(operations::table.into_boxed(), filter.q, lower(operations::subject));
    if let Some(status) = filter.status {
        query = query.filter(operations::status.eq(status));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(operations::kind.eq(kind));
    }
    if let Some(id) = filter.institution_id {
        query = query.filter(operations::institution_id.eq(id));
    }
    query
}

/// One page of operations, newest first unless asked otherwise.
///
/// # Errors
/// Any database error.
pub fn page(
    connection: &mut SharedConn,
    filter: &OperationFilter,
    paging: &Paging,
) -> ModelResult<Slice<Operation>> {
    let total = matching(filter).count().get_result(connection)?;
    let rows = ordered!(matching(filter), paging.descending, operations::created_at, operations::id)
        .limit(paging.limit)
        .offset(paging.offset)
        .select(Operation::as_select())
        .load(connection)?;
    Ok(Slice { rows, total })
}
