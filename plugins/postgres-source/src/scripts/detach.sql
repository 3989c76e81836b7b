-- Without this, a database with a subscription cannot be dropped. The other server keeps what it has for the real one.
SELECT format('ALTER SUBSCRIPTION %I DISABLE', subname)
FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid WHERE d.datname = current_database()
\gexec
SELECT format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', subname)
FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid WHERE d.datname = current_database()
\gexec
SELECT format('DROP SUBSCRIPTION %I', subname)
FROM pg_subscription AS s JOIN pg_database AS d ON d.oid = s.subdbid WHERE d.datname = current_database()
\gexec
