//! What becomes of each column of an institution's database when it is masked.

use Rule::{Emptied, Kept, Masked, Own, Removed};

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It says nothing of anybody, or nothing without the others.
    Kept,
    /// Something else instead, the same for the same; what is searched and sorted is made of that.
    Masked,
    /// Nothing is left of it.
    Emptied,
    /// The copy has its own.
    Own,
    /// The whole row goes.
    Removed,
}

type Table = (&'static str, &'static [(&'static str, Rule)]);

/// Every table and every column of it.
pub const COLUMNS: &[Table] = &[
    (
        "institution",
        &[
            ("id", Own),
            ("domain", Own),
            ("name", Own),
            ("kind", Kept),
            ("country", Kept),
            ("website", Emptied),
            ("time_zone", Kept),
            ("locale", Kept),
            ("week_start", Kept),
            ("updated_at", Own),
            ("version", Kept),
        ],
    ),
    (
        "users",
        &[
            ("id", Kept),
            ("email", Masked),
            ("email_normalised", Masked),
            ("name", Masked),
            ("name_key", Masked),
            ("password_hash", Emptied),
            ("status", Emptied),
            ("last_sign_in_at", Emptied),
            ("created_at", Kept),
            ("updated_at", Kept),
            ("version", Kept),
        ],
    ),
    ("user_roles", &[("user_id", Kept), ("role", Kept), ("granted_at", Kept)]),
    (
        "people",
        &[
            ("id", Kept),
            ("name", Masked),
            ("preferred_name", Masked),
            ("birth_date", Masked),
            ("email", Masked),
            ("phone", Masked),
            ("address", Masked),
            ("created_at", Kept),
            ("updated_at", Kept),
        ],
    ),
    (
        "students",
        &[
            ("id", Kept),
            ("person_id", Kept),
            ("student_number", Kept),
            ("status", Kept),
            ("admission_year", Kept),
            ("programme", Kept),
            ("notes", Masked),
            ("name_key", Masked),
            ("search_key", Masked),
            ("archived_at", Kept),
            ("archive_batch", Kept),
            ("created_at", Kept),
            ("updated_at", Kept),
            ("version", Kept),
        ],
    ),
    (
        "imports",
        &[
            ("id", Removed),
            ("kind", Removed),
            ("file_name", Removed),
            ("content", Removed),
            ("mapping", Removed),
            ("operation_id", Removed),
            ("result", Removed),
            ("created_by", Removed),
            ("created_at", Removed),
        ],
    ),
    (
        "activity_log",
        &[
            ("id", Kept),
            ("at", Kept),
            ("actor_id", Kept),
            ("actor_name", Masked),
            ("action", Kept),
            ("record_kind", Kept),
            ("record_id", Kept),
            ("record_label", Masked),
            ("changes", Masked),
            ("search_key", Masked),
            ("ip", Emptied),
            ("user_agent", Emptied),
        ],
    ),
];
