//! Importing a kept file: the work of the operation `import_students`.

use super::{Counts, Mapping, apply};
use crate::{
    db::{Id, tenant::TenantConn},
    models::{
        ModelError, ModelResult,
        institution::{Activity, imports},
    },
    services::csv_text::{Limits, read_csv},
};

/// How kept files of students are marked.
pub const KIND: &str = "students";

/// The largest file of students.
pub const LIMITS: Limits = Limits { bytes: 10 * 1024 * 1024, rows: 50_000, columns: 100, cell_chars: 10_000 };

/// Imports a kept file in one transaction. Doing it again after a crash changes nothing and returns
/// what was done. Blocks.
///
/// # Errors
/// `Changed` when another operation imports the file; refused when it cannot be read; any database
/// error. Nothing was written then.
pub fn run(
    connection: &mut TenantConn,
    activity: &Activity,
    import_id: Id,
    operation_id: Id,
    progress: &mut dyn FnMut(usize, usize) -> ModelResult<()>,
) -> ModelResult<Counts> {
    imports::begin(connection, import_id, operation_id)?;
    connection.write_tx(|connection| {
        let import = imports::find(connection, KIND, import_id)?;
        if let Some(counts) = import.result.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
            return Ok(counts);
        }
        let refused = |words: String| ModelError::Refused(words);
        let mapping: Mapping = serde_json::from_str(&import.mapping)
            .map_err(|_| refused("The meaning of the columns was lost. Upload the file again.".into()))?;
        let table = read_csv(&import.content, LIMITS).map_err(|problem| refused(format!("{problem}.")))?;
        let counts = apply(connection, activity, &import.file_name, &table, &mapping, progress)?;
        let result = serde_json::to_string(&counts).unwrap_or_default();
        imports::set_result(connection, import_id, &result)?;
        Ok(counts)
    })
}
