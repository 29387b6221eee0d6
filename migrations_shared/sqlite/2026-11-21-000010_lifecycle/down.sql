DROP TABLE reconciliation_findings;
DROP TABLE institution_exports;
DROP TABLE institution_contacts;
DROP TABLE institution_deletions;
