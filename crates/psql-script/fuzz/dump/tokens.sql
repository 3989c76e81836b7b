--
-- PostgreSQL database dump
--
\restrict abc

SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
/* a /* nested */ comment */
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $x$ SELECT E'it\'s' || $$ \! id $$ $x$;
SELECT U&'\0041', B'1', N'x', "a""b", 'it''s', 1::text, a[b:c];
COPY public.t (a, "b c") FROM stdin;
1	\N
\.

INSERT INTO t VALUES ('\\', E'\\');
\unrestrict abc
