SELECT d.datname, pg_has_role(d.datdba, 'USAGE'), r.rolname, r.rolcreatedb OR r.rolsuper
FROM pg_database AS d, pg_roles AS r
WHERE r.rolname = current_user
