SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = :'beside' AND backend_type = 'client backend';
DROP DATABASE IF EXISTS :"beside";
