SELECT d.datname, CASE
    -- DROP DATABASE was interrupted.
    WHEN d.datconnlimit = -2 THEN 'it is invalid, and can only be dropped'
    WHEN NOT d.datallowconn THEN 'it allows no connections'
    WHEN NOT pg_catalog.has_database_privilege(d.oid, 'CONNECT') THEN 'the role may not connect to it'
    ELSE ''
END
FROM pg_catalog.pg_database AS d WHERE d.datname NOT IN ('template0', 'template1')
    -- What a restoration or a drill of ours works on, or has left behind.
    AND d.datname !~ '_(restoring|drill)_[0-9]{8}_[0-9]{6}(_[0-9])?$'
ORDER BY 1
