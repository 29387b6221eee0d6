//! Tables as diesel sees them; `tests/it/schema.rs` holds this file to the migrations of both engines.

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    institution (id) {
        id -> Uuid,
        domain -> Text,
        name -> Text,
        kind -> Text,
        country -> Text,
        website -> Nullable<Text>,
        time_zone -> Text,
        locale -> Text,
        week_start -> Text,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    users (id) {
        id -> Uuid,
        email -> Text,
        email_normalised -> Text,
        name -> Text,
        name_key -> Text,
        password_hash -> Nullable<Text>,
        status -> Text,
        last_sign_in_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    user_roles (user_id, role) {
        user_id -> Uuid,
        role -> Text,
        granted_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    people (id) {
        id -> Uuid,
        name -> Text,
        preferred_name -> Nullable<Text>,
        birth_date -> Nullable<Date>,
        email -> Nullable<Text>,
        phone -> Nullable<Text>,
        address -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    students (id) {
        id -> Uuid,
        person_id -> Uuid,
        student_number -> Text,
        status -> Text,
        admission_year -> Nullable<Integer>,
        programme -> Nullable<Text>,
        notes -> Nullable<Text>,
        name_key -> Text,
        search_key -> Text,
        archived_at -> Nullable<Timestamp>,
        archive_batch -> Nullable<Uuid>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    imports (id) {
        id -> Uuid,
        kind -> Text,
        file_name -> Text,
        content -> Binary,
        mapping -> Text,
        operation_id -> Nullable<Uuid>,
        result -> Nullable<Text>,
        created_by -> Uuid,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    activity_log (id) {
        id -> Uuid,
        at -> Timestamp,
        actor_id -> Nullable<Uuid>,
        actor_name -> Text,
        action -> Text,
        record_kind -> Text,
        record_id -> Nullable<Uuid>,
        record_label -> Text,
        changes -> Text,
        search_key -> Text,
        ip -> Nullable<Text>,
        user_agent -> Nullable<Text>,
    }
}

diesel::joinable!(user_roles -> users (user_id));
diesel::joinable!(students -> people (person_id));
diesel::allow_tables_to_appear_in_same_query!(users, user_roles);
diesel::allow_tables_to_appear_in_same_query!(people, students);
