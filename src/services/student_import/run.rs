//! Importing a kept file: the work of the operation `import_students`.

use serde::{Deserialize, Serialize};

use super::{Counts, Mapping, Plan, PlannedRow, Verdict, apply};
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

/// Refused rows that are kept with the result of an import: more are not mended by hand.
pub const REFUSED_KEPT: usize = 1_000;

/// What an import did, as it is kept with the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Rows by what they did.
    #[serde(flatten)]
    pub counts: Counts,
    /// The first refused rows, [`REFUSED_KEPT`] at most, as they were then.
    #[serde(default, rename = "refused_rows")]
    pub refused: Vec<PlannedRow>,
}

impl From<Plan> for Outcome {
    fn from(plan: Plan) -> Self {
        let counts = plan.counts();
        let refused = plan.rows.into_iter().filter(|row| row.verdict == Verdict::Refused);
        Self { counts, refused: refused.take(REFUSED_KEPT).collect() }
    }
}

impl Outcome {
    /// What was kept of an import, unless nothing readable was.
    #[must_use]
    pub fn read(result: Option<&str>) -> Option<Self> {
        result.and_then(|text| serde_json::from_str(text).ok())
    }
}

/// Imports a kept file in one transaction; its rows are kept no longer, but for those refused. Doing it again after a crash changes nothing and returns
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
        if let Some(outcome) = Outcome::read(import.result.as_deref()) {
            return Ok(outcome.counts);
        }
        let refused = |words: String| ModelError::Refused(words);
        let mapping: Mapping = serde_json::from_str(&import.mapping)
            .map_err(|_| refused("The meaning of the columns was lost. Upload the file again.".into()))?;
        let table = read_csv(&import.content, LIMITS).map_err(|problem| refused(format!("{problem}.")))?;
        let plan = apply(connection, activity, &import.file_name, &table, &mapping, progress)?;
        let outcome = Outcome::from(plan);
        let result = serde_json::to_string(&outcome)
            .map_err(|_| refused("What the import did could not be written down.".into()))?;
        imports::set_result(connection, import_id, &result)?;
        Ok(outcome.counts)
    })
}
