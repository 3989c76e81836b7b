-- A client that is killed leaves the server at work on its last statement, with all of its locks.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :'session' AND pid <> pg_backend_pid();
