WITH own AS (
    -- What neither PostgreSQL nor an extension brought along.
    SELECT c.oid, c.relkind, c.reltuples
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (
            SELECT FROM pg_depend AS d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT
    (SELECT count(*) FROM own WHERE relkind IN ('r', 'p')),
    -- Neither figure is always there: one comes from ANALYZE, the other from counting changes.
    (SELECT coalesce(sum(greatest(reltuples::bigint, pg_stat_get_live_tuples(oid), 0)), 0)::bigint
        FROM own WHERE relkind = 'r'),
    pg_database_size(current_database()),
    (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid()),
    CASE
        WHEN EXISTS (SELECT FROM own) THEN 'filled'
        WHEN EXISTS (
            SELECT FROM pg_namespace AS n
            WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public')
                AND NOT EXISTS (
                    SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')
        ) THEN 'filled'
        WHEN EXISTS (
            SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                AND NOT EXISTS (
                    SELECT FROM pg_depend AS d
                    WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
        ) THEN 'filled'
        WHEN EXISTS (SELECT FROM pg_largeobject_metadata) THEN 'filled'
        ELSE 'empty'
    END
