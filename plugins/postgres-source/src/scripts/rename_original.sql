-- :original becomes :kept. In one go, so that hardly any connection comes between.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = :'original' AND usesysid IS NOT NULL AND pid <> pg_backend_pid() \;
ALTER DATABASE :"original" RENAME TO :"kept";
