-- Who makes or removes :new does it alone: a server ends CREATE DATABASE even when its client is gone.
SELECT pg_advisory_lock(hashtext(:'new'));
