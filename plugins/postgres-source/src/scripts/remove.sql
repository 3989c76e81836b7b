SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = :'new' AND usesysid IS NOT NULL;
-- What was restored may have made it one, which nobody can drop.
SELECT format('ALTER DATABASE %I IS_TEMPLATE false', datname)
FROM pg_database WHERE datname = :'new' AND datistemplate
\gexec
-- Whoever has connected since is in nobody's way, where the server knows that.
SELECT format(
    'DROP DATABASE IF EXISTS %I%s', :'new',
    CASE WHEN current_setting('server_version_num')::int >= 130000 THEN ' WITH (FORCE)' ELSE '' END)
\gexec
