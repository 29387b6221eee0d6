DROP TRIGGER audit_log_no_delete ON audit_log;
DROP TRIGGER audit_log_append_only ON audit_log;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
DROP FUNCTION audit_log_leaves_archived();
DROP TABLE log_archives;
DROP TABLE fleet_reports;
DROP TABLE maintenance_runs;
DROP TABLE maintenance_needs;
