-- A database like :original, empty, of :owner where one is given. The columns about ICU differ from version to version.
SELECT format(
        'CREATE DATABASE %I TEMPLATE template0 OWNER %I ENCODING %L LC_COLLATE %L LC_CTYPE %L',
        :'new', coalesce(nullif(:'owner', ''), pg_get_userbyid(d.datdba)), pg_encoding_to_char(d.encoding), d.datcollate, d.datctype)
    || CASE facts ->> 'datlocprovider'
        WHEN 'i' THEN ' LOCALE_PROVIDER icu ICU_LOCALE '
            || quote_literal(coalesce(facts ->> 'datlocale', facts ->> 'daticulocale'))
            || coalesce(' ICU_RULES ' || quote_literal(facts ->> 'daticurules'), '')
        WHEN 'b' THEN ' LOCALE_PROVIDER builtin BUILTIN_LOCALE ' || quote_literal(facts ->> 'datlocale')
        ELSE ''
    END
    -- Naming the default one takes a right that the role need not have.
    || CASE t.spcname WHEN 'pg_default' THEN '' ELSE format(' TABLESPACE %I', t.spcname) END
FROM pg_database AS d
JOIN pg_tablespace AS t ON t.oid = d.dattablespace,
    to_jsonb(d) AS facts
WHERE d.datname = :'original'
\gexec

-- Who may connect to it, before anything is in it.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC, %I', :'new', pg_get_userbyid(datdba))
FROM pg_database WHERE datname = :'original' AND datacl IS NOT NULL
\gexec
SELECT format(
    'GRANT %s ON DATABASE %I TO %s%s',
    acl.privilege_type, :'new',
    CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(acl.grantee)) END,
    CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database AS d, aclexplode(d.datacl) AS acl
WHERE d.datname = :'original'
\gexec
