SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = :'beside' AND usesysid IS NOT NULL;
DROP DATABASE IF EXISTS :"beside";
