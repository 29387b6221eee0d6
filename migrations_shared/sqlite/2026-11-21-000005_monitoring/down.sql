DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
DROP TABLE alerts;
DROP TABLE tenant_figures;
DROP TABLE slow_queries;
DROP TABLE active_users;
DROP TABLE page_usage;
DROP TABLE usage_figures;
