-- :new gets the owner and the settings of :original.
SELECT format('ALTER DATABASE %I OWNER TO %I', :'new', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = :'original'
\gexec
SELECT format('COMMENT ON DATABASE %I IS %L', :'new', shobj_description(oid, 'pg_database'))
FROM pg_database
WHERE datname = :'original' AND shobj_description(oid, 'pg_database') IS NOT NULL
\gexec
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', :'new', datconnlimit)
FROM pg_database WHERE datname = :'original' AND datconnlimit >= 0
\gexec
SELECT format(
    'ALTER %s SET %I TO %s',
    CASE s.setrole
        WHEN 0 THEN format('DATABASE %I', :'new')
        ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(s.setrole), :'new')
    END,
    setting.name,
    CASE
        -- These are lists of quoted names, which have to be told apart.
        WHEN lower(setting.name) IN (
            'search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries')
        THEN coalesce(
            (SELECT string_agg(
                quote_literal(CASE
                    WHEN item[1] IS NOT NULL THEN replace(item[1], '""', '"')
                    ELSE item[2]
                END), ', ')
            FROM regexp_matches(setting.value, '"((?:[^"]|"")*)"|([^", ]+)', 'g') AS item),
            quote_literal(''))
        ELSE quote_literal(setting.value)
    END)
FROM pg_db_role_setting AS s
JOIN pg_database AS d ON d.oid = s.setdatabase,
    unnest(s.setconfig) AS entry,
    LATERAL (SELECT
        split_part(entry, '=', 1),
        substr(entry, strpos(entry, '=') + 1)) AS setting(name, value)
WHERE d.datname = :'original'
\gexec
