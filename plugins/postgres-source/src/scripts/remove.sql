SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = :'beside' AND usesysid IS NOT NULL;
-- What was restored may have made it one, which nobody can drop.
SELECT format('ALTER DATABASE %I IS_TEMPLATE false', datname)
FROM pg_database WHERE datname = :'beside' AND datistemplate
\gexec
DROP DATABASE IF EXISTS :"beside";
