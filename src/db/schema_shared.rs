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
        role -> Text,
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
        quarantine_reason -> Nullable<Text>,
        quarantined_at -> Nullable<Timestamp>,
        server_id -> Uuid,
        write_block -> Nullable<Text>,
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

    support_accesses (id) {
        id -> Uuid,
        institution_id -> Uuid,
        admin_id -> Uuid,
        reason -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    usage_figures (period, starts_at, institution_id) {
        period -> Text,
        starts_at -> Timestamp,
        institution_id -> Uuid,
        requests -> BigInt,
        errors -> BigInt,
        bytes -> BigInt,
        micros -> BigInt,
        p50_micros -> BigInt,
        p95_micros -> BigInt,
        p99_micros -> BigInt,
        waits -> BigInt,
        wait_micros -> BigInt,
        slow_queries -> BigInt,
        users -> BigInt,
        size_bytes -> Nullable<BigInt>,
        histogram -> Nullable<Binary>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    page_usage (starts_at, institution_id, route) {
        starts_at -> Timestamp,
        institution_id -> Uuid,
        route -> Text,
        requests -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    active_users (starts_at, institution_id, user_id) {
        starts_at -> Timestamp,
        institution_id -> Uuid,
        user_id -> Uuid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    slow_queries (institution_id, fingerprint) {
        institution_id -> Uuid,
        fingerprint -> BigInt,
        statement -> Text,
        runs -> BigInt,
        total_micros -> BigInt,
        worst_micros -> BigInt,
        first_seen_at -> Timestamp,
        last_seen_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    tenant_figures (institution_id) {
        institution_id -> Uuid,
        day -> Nullable<Timestamp>,
        requests -> BigInt,
        errors -> BigInt,
        error_permille -> BigInt,
        p50_micros -> BigInt,
        p95_micros -> BigInt,
        p99_micros -> BigInt,
        waits -> BigInt,
        wait_micros -> BigInt,
        slow_queries -> BigInt,
        last_activity_at -> Nullable<Timestamp>,
        size_bytes -> BigInt,
        growth_bytes -> BigInt,
        log_bytes -> BigInt,
        measured_at -> Nullable<Timestamp>,
        unreachable_since -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    alerts (id) {
        id -> Uuid,
        rule -> Text,
        subject -> Text,
        institution_id -> Nullable<Uuid>,
        severity -> Text,
        summary -> Text,
        advice -> Text,
        link -> Text,
        search_key -> Text,
        firing_since -> Timestamp,
        resolved_at -> Nullable<Timestamp>,
        acknowledged_at -> Nullable<Timestamp>,
        acknowledged_by -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    webhooks (id) {
        id -> Uuid,
        url -> Text,
        status -> Text,
        secret_number -> Integer,
        created_at -> Timestamp,
        created_by -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    webhook_deliveries (id) {
        id -> Uuid,
        webhook_id -> Uuid,
        event -> Text,
        body -> Text,
        status -> Text,
        attempts -> Integer,
        next_attempt_at -> Timestamp,
        answer -> Nullable<Integer>,
        error -> Nullable<Text>,
        created_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    plans (key) {
        key -> Text,
        name -> Text,
        search_key -> Text,
        description -> Text,
        price_month -> BigInt,
        price_year -> BigInt,
        currency -> Text,
        max_users -> Nullable<BigInt>,
        max_students -> Nullable<BigInt>,
        max_storage_bytes -> Nullable<BigInt>,
        features -> Text,
        position -> Integer,
        archived_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    subscriptions (institution_id) {
        institution_id -> Uuid,
        status -> Text,
        started_at -> Timestamp,
        period_ends_at -> Nullable<Timestamp>,
        grace_until -> Nullable<Timestamp>,
        max_users -> Nullable<BigInt>,
        max_students -> Nullable<BigInt>,
        max_storage_bytes -> Nullable<BigInt>,
        limits_reason -> Nullable<Text>,
        reminded -> Nullable<Integer>,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    subscription_changes (id) {
        id -> Uuid,
        institution_id -> Uuid,
        at -> Timestamp,
        actor_id -> Nullable<Uuid>,
        actor_name -> Text,
        field -> Text,
        old_value -> Nullable<Text>,
        new_value -> Nullable<Text>,
        reason -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    announcements (id) {
        id -> Uuid,
        text -> Text,
        search_key -> Text,
        level -> Text,
        audience -> Text,
        plans -> Text,
        institution_id -> Nullable<Uuid>,
        starts_at -> Timestamp,
        ends_at -> Nullable<Timestamp>,
        dismissible -> Integer,
        created_by -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    notifications (id) {
        id -> Uuid,
        recipient_id -> Uuid,
        institution_id -> Nullable<Uuid>,
        kind -> Text,
        text -> Text,
        search_key -> Text,
        href -> Text,
        created_at -> Timestamp,
        read_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    known_migrations (name) {
        name -> Text,
        checksum -> Text,
        first_seen_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    rollouts (id) {
        id -> Uuid,
        operation_id -> Uuid,
        direction -> Text,
        state -> Text,
        stage -> Text,
        target_version -> Text,
        wave_size -> Integer,
        failure_percent -> Integer,
        forgiven -> BigInt,
        destructive_agreed -> Integer,
        reason -> Nullable<Text>,
        actor_name -> Text,
        created_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    rollout_tenants (id) {
        id -> Uuid,
        rollout_id -> Uuid,
        institution_id -> Uuid,
        wave -> Integer,
        status -> Text,
        from_version -> Text,
        to_version -> Text,
        attempts -> Integer,
        milliseconds -> BigInt,
        error -> Nullable<Text>,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    tenant_migrations (id) {
        id -> Uuid,
        institution_id -> Uuid,
        migration -> Text,
        checksum -> Text,
        status -> Text,
        attempts -> Integer,
        rollout_id -> Nullable<Uuid>,
        milliseconds -> BigInt,
        error -> Nullable<Text>,
        at -> Timestamp,
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
        server_id -> Uuid,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    database_servers (id) {
        id -> Uuid,
        name -> Text,
        engine -> Text,
        address -> Text,
        sealed_url -> Nullable<Binary>,
        capacity -> BigInt,
        most_connections -> Nullable<BigInt>,
        state -> Text,
        identity -> Nullable<Text>,
        server_version -> Nullable<Text>,
        connections -> Nullable<BigInt>,
        round_trip_micros -> Nullable<BigInt>,
        checked_at -> Nullable<Timestamp>,
        problem -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    institution_deletions (institution_id) {
        institution_id -> Uuid,
        asked_by -> Nullable<Uuid>,
        asked_by_name -> Text,
        reason -> Text,
        asked_at -> Timestamp,
        due_at -> Timestamp,
        agreed_by -> Nullable<Uuid>,
        agreed_by_name -> Nullable<Text>,
        agreed_at -> Nullable<Timestamp>,
        reminded -> Nullable<Integer>,
        at_once -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    institution_contacts (institution_id) {
        institution_id -> Uuid,
        sealed -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    reconciliation_findings (id) {
        id -> Uuid,
        kind -> Text,
        subject -> Text,
        search_key -> Text,
        institution_id -> Nullable<Uuid>,
        detail -> Text,
        first_seen_at -> Timestamp,
        last_seen_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    maintenance_needs (institution_id) {
        institution_id -> Uuid,
        bytes -> BigInt,
        spare_bytes -> BigInt,
        log_bytes -> BigInt,
        dead_rows -> BigInt,
        acts -> Text,
        why -> Text,
        looked_at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    maintenance_runs (id) {
        id -> Uuid,
        institution_id -> Uuid,
        act -> Text,
        why -> Text,
        bytes_before -> BigInt,
        bytes_after -> BigInt,
        milliseconds -> BigInt,
        error -> Nullable<Text>,
        at -> Timestamp,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    fleet_reports (id) {
        id -> Uuid,
        taken_at -> Timestamp,
        tenants -> BigInt,
        findings -> BigInt,
        report -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    log_archives (id) {
        id -> Uuid,
        institution_id -> Nullable<Uuid>,
        first_sequence -> Nullable<BigInt>,
        last_sequence -> Nullable<BigInt>,
        before_hash -> Nullable<Binary>,
        head_hash -> Nullable<Binary>,
        first_at -> Timestamp,
        last_at -> Timestamp,
        until -> Timestamp,
        entries -> BigInt,
        bytes -> BigInt,
        digest -> Binary,
        created_at -> Timestamp,
        seal -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::types::Uuid;

    sandboxes (institution_id) {
        institution_id -> Uuid,
        source_id -> Uuid,
        source_name -> Text,
        state_of -> Nullable<Timestamp>,
        created_at -> Timestamp,
    }
}

diesel::joinable!(support_accesses -> institutions (institution_id));
diesel::joinable!(support_accesses -> platform_admins (admin_id));
diesel::allow_tables_to_appear_in_same_query!(institutions, platform_admins, support_accesses);
diesel::joinable!(institution_status_changes -> institutions (institution_id));
diesel::joinable!(registrations -> institutions (institution_id));
diesel::joinable!(account_tokens -> institutions (institution_id));
diesel::joinable!(login_index -> institutions (institution_id));
diesel::joinable!(sessions -> institutions (institution_id));
diesel::joinable!(tenant_databases -> institutions (institution_id));
diesel::joinable!(institution_keys -> institutions (institution_id));
diesel::joinable!(operations -> institutions (institution_id));
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
    operations,
    tenant_figures,
    plans,
    subscriptions
);
diesel::allow_tables_to_appear_in_same_query!(operations, operation_steps);
diesel::joinable!(alerts -> institutions (institution_id));
diesel::joinable!(tenant_figures -> institutions (institution_id));
diesel::joinable!(webhook_deliveries -> webhooks (webhook_id));
diesel::allow_tables_to_appear_in_same_query!(institutions, alerts);
diesel::allow_tables_to_appear_in_same_query!(webhooks, webhook_deliveries);
diesel::joinable!(subscriptions -> institutions (institution_id));
diesel::joinable!(rollout_tenants -> institutions (institution_id));
diesel::joinable!(rollout_tenants -> rollouts (rollout_id));
diesel::allow_tables_to_appear_in_same_query!(institutions, rollout_tenants);
diesel::allow_tables_to_appear_in_same_query!(tenant_databases, rollout_tenants);
diesel::allow_tables_to_appear_in_same_query!(rollouts, rollout_tenants);
diesel::allow_tables_to_appear_in_same_query!(institutions, rollouts);
diesel::joinable!(backups -> institutions (institution_id));
diesel::joinable!(tenant_copies -> institutions (institution_id));
diesel::allow_tables_to_appear_in_same_query!(institutions, backups);
diesel::allow_tables_to_appear_in_same_query!(tenant_databases, backups);
diesel::allow_tables_to_appear_in_same_query!(institutions, tenant_copies);
diesel::joinable!(reconciliation_findings -> institutions (institution_id));
diesel::allow_tables_to_appear_in_same_query!(institutions, reconciliation_findings);
diesel::joinable!(maintenance_needs -> institutions (institution_id));
diesel::joinable!(maintenance_runs -> institutions (institution_id));
diesel::joinable!(log_archives -> institutions (institution_id));
diesel::allow_tables_to_appear_in_same_query!(institutions, maintenance_needs);
diesel::allow_tables_to_appear_in_same_query!(tenant_databases, maintenance_needs);
diesel::allow_tables_to_appear_in_same_query!(institutions, maintenance_runs);
diesel::allow_tables_to_appear_in_same_query!(institutions, log_archives);
diesel::joinable!(sandboxes -> institutions (institution_id));
diesel::allow_tables_to_appear_in_same_query!(sandboxes, institutions);
diesel::allow_tables_to_appear_in_same_query!(sandboxes, tenant_databases);
diesel::allow_tables_to_appear_in_same_query!(sandboxes, subscriptions);
diesel::allow_tables_to_appear_in_same_query!(sandboxes, plans);
