DROP TRIGGER audit_log_no_delete;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
DROP TABLE log_archives;
DROP TABLE fleet_reports;
DROP TABLE maintenance_runs;
DROP TABLE maintenance_needs;
