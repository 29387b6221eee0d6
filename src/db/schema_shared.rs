//! Tables as diesel sees them; `tests/it/schema.rs` holds this file to the migrations of both engines.

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    platform_admins (id) {
        id -> Uuid,
        email -> Text,
        email_normalised -> Text,
        name -> Text,
        search_key -> Text,
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

    institutions (id) {
        id -> Uuid,
        domain -> Text,
        name -> Text,
        name_key -> Text,
        kind -> Text,
        country -> Text,
        region -> Nullable<Text>,
        website -> Nullable<Text>,
        time_zone -> Text,
        status -> Text,
        status_changed_at -> Timestamp,
        plan -> Text,
        trial_ends_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    institution_status_changes (id) {
        id -> Uuid,
        institution_id -> Uuid,
        from_status -> Nullable<Text>,
        to_status -> Text,
        reason -> Nullable<Text>,
        actor_id -> Nullable<Uuid>,
        actor_name -> Text,
        at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    registrations (id) {
        id -> Uuid,
        institution_id -> Uuid,
        source -> Text,
        admin_name -> Nullable<Text>,
        admin_email -> Nullable<Text>,
        admin_password_hash -> Nullable<Text>,
        search_key -> Text,
        submitted_at -> Timestamp,
        decision -> Nullable<Text>,
        decided_at -> Nullable<Timestamp>,
        decided_by -> Nullable<Uuid>,
        decided_by_name -> Nullable<Text>,
        reason -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    account_tokens (id) {
        id -> Uuid,
        token_hash -> Binary,
        purpose -> Text,
        institution_id -> Nullable<Uuid>,
        user_id -> Nullable<Uuid>,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        used_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    login_index (id) {
        id -> Uuid,
        email_hash -> Binary,
        institution_id -> Uuid,
        user_id -> Uuid,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    sessions (id) {
        id -> Uuid,
        token_hash -> Binary,
        institution_id -> Nullable<Uuid>,
        user_id -> Nullable<Uuid>,
        state -> Text,
        ip -> Text,
        user_agent -> Text,
        created_at -> Timestamp,
        last_seen_at -> Timestamp,
        idle_expires_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    throttles (subject) {
        subject -> Text,
        failures -> Integer,
        last_failure_at -> Timestamp,
        blocked_until -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    tenant_databases (id) {
        id -> Uuid,
        institution_id -> Uuid,
        engine -> Text,
        database_name -> Text,
        location -> Text,
        sealed_password -> Nullable<Binary>,
        schema_version -> Text,
        generation -> BigInt,
        status -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    institution_keys (institution_id) {
        institution_id -> Uuid,
        wrapped_key -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    platform_secrets (name) {
        name -> Text,
        sealed -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    platform_settings (name) {
        name -> Text,
        value -> Text,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    operations (id) {
        id -> Uuid,
        kind -> Text,
        institution_id -> Nullable<Uuid>,
        subject -> Text,
        search_key -> Text,
        status -> Text,
        input -> Text,
        result -> Nullable<Text>,
        attempts -> Integer,
        next_attempt_at -> Timestamp,
        lease_owner -> Nullable<Text>,
        lease_expires_at -> Nullable<Timestamp>,
        fence -> BigInt,
        error -> Nullable<Text>,
        progress_done -> BigInt,
        progress_total -> BigInt,
        actor_id -> Nullable<Uuid>,
        actor_name -> Text,
        created_at -> Timestamp,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    operation_steps (id) {
        id -> Uuid,
        operation_id -> Uuid,
        position -> Integer,
        name -> Text,
        status -> Text,
        attempts -> Integer,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
        detail -> Nullable<Text>,
        error -> Nullable<Text>,
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
        created_by -> Uuid,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    audit_log (sequence) {
        sequence -> BigInt,
        id -> Uuid,
        at -> Timestamp,
        actor_id -> Nullable<Uuid>,
        actor_name -> Text,
        action -> Text,
        subject_kind -> Text,
        subject_id -> Nullable<Uuid>,
        subject_label -> Text,
        search_key -> Text,
        institution_id -> Nullable<Uuid>,
        detail -> Text,
        ip -> Nullable<Text>,
        previous_hash -> Binary,
        hash -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    security_log (id) {
        id -> Uuid,
        at -> Timestamp,
        event -> Text,
        account_hash -> Nullable<Binary>,
        institution_id -> Nullable<Uuid>,
        user_id -> Nullable<Uuid>,
        ip -> Text,
        user_agent -> Text,
        detail -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    outgoing_mails (id) {
        id -> Uuid,
        sealed -> Nullable<Binary>,
        created_at -> Timestamp,
        sent_at -> Nullable<Timestamp>,
        attempts -> Integer,
        next_attempt_at -> Timestamp,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    scheduled_jobs (name) {
        name -> Text,
        next_run_at -> Timestamp,
        last_run_at -> Nullable<Timestamp>,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    backups (id) {
        id -> Uuid,
        institution_id -> Nullable<Uuid>,
        subject -> Text,
        search_key -> Text,
        engine -> Text,
        schema_version -> Text,
        reason -> Text,
        bytes -> BigInt,
        row_total -> BigInt,
        digest -> Binary,
        manifest -> Text,
        mark -> Nullable<Text>,
        taken_at -> Timestamp,
        kept_until -> Timestamp,
        verified_at -> Nullable<Timestamp>,
        fault -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    tenant_copies (id) {
        id -> Uuid,
        institution_id -> Nullable<Uuid>,
        purpose -> Text,
        engine -> Text,
        database_name -> Text,
        location -> Text,
        sealed_password -> Nullable<Binary>,
        schema_version -> Text,
        backup_id -> Nullable<Uuid>,
        operation_id -> Nullable<Uuid>,
        drop_after -> Timestamp,
        created_at -> Timestamp,
    }
}

diesel::joinable!(institution_status_changes -> institutions (institution_id));
diesel::joinable!(registrations -> institutions (institution_id));
diesel::joinable!(account_tokens -> institutions (institution_id));
diesel::joinable!(login_index -> institutions (institution_id));
diesel::joinable!(sessions -> institutions (institution_id));
diesel::joinable!(tenant_databases -> institutions (institution_id));
diesel::joinable!(institution_keys -> institutions (institution_id));
diesel::joinable!(operations -> institutions (institution_id));
diesel::joinable!(backups -> institutions (institution_id));
diesel::joinable!(tenant_copies -> institutions (institution_id));
diesel::joinable!(operation_steps -> operations (operation_id));
diesel::allow_tables_to_appear_in_same_query!(
    institutions,
    institution_status_changes,
    registrations,
    account_tokens,
    login_index,
    sessions,
    tenant_databases,
    institution_keys,
    operations
);
diesel::allow_tables_to_appear_in_same_query!(operations, operation_steps);
diesel::allow_tables_to_appear_in_same_query!(backups, institutions);
diesel::allow_tables_to_appear_in_same_query!(backups, tenant_databases);
diesel::allow_tables_to_appear_in_same_query!(tenant_copies, institutions);
