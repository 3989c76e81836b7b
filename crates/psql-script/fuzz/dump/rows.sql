COPY public.t (a) FROM stdin;
\! id
\.
SELECT 1;
-- x
\connect y
