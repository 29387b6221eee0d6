DROP TABLE subscription_changes;
DROP TABLE subscriptions;
DROP INDEX institutions_trial;
DROP INDEX institutions_plan;
DROP TABLE plans;
