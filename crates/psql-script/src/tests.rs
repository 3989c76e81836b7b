use super::*;

/// How a dump ends that comes in pieces of this many bytes.
fn followed(mut script: Script, dump: &str, piece: usize) -> Result<(), String> {
    let mut dump = dump.as_bytes().to_vec();
    for bytes in dump.chunks_mut(piece) {
        script.follow(bytes)?;
    }
    script.finish()
}

fn expect_taken(dump: &str) {
    for piece in 1..=dump.len().max(1) {
        let taken = followed(Script::in_transaction(), dump, piece);
        assert_eq!(taken, Ok(()), "{dump:?} in pieces of {piece}");
    }
}

fn expect_refused(dump: &str, why: &str) {
    for piece in 1..=dump.len() {
        let refusal = followed(Script::in_transaction(), dump, piece);
        let refusal = refusal.expect_err(dump);
        assert!(
            refusal.contains(why),
            "{dump:?} in pieces of {piece}: {refusal}"
        );
    }
}

#[test]
fn a_backslash_is_data_in_quotes_comments_and_rows() {
    for dump in [
        "SELECT 'a\\b';\n",
        "SELECT '\\! id';\n",
        "SELECT 'it''s \\! id';\n",
        "SELECT E'it\\'s \\! id', e'\\\\';\n",
        "SELECT E'it''s \\! id';\n",
        "SELECT \"a\\b\", \"a\"\"\\! id\";\n",
        "SELECT $$ \\! id ' $$;\n",
        "SELECT $x$ $$ \\! id $y$ $x$;\n",
        "SELECT $x$ $x \\! id $$x$;\n",
        "SELECT U&'\\0041', B'1', N'\\! id';\n",
        "-- \\! id\nSELECT 1;\n",
        "/* \\! id /* ' */ \\! id */ SELECT 1;\n",
        "COPY public.t (a) FROM stdin;\n\\! id\n'\n\\.x\n\\N\n\\.\nSELECT 1;\n",
        "COPY public.t (a) FROM stdin;\r\n\\! id\r\n\\.\r\nSELECT 1;\r\n",
        "COPY public.t (a) FROM stdin;\n\\.\n\nCOPY public.u (\"; a\") FROM stdin;\n1\n\\.\n",
        "SELECT v$session.a$b, $1, a[1:2], x::text, a[b:c] FROM f(x := 1);\n",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1; END; END;\n\
         COPY public.t (a) FROM stdin;\n\\! id\n\\.\n",
        "",
        "SELECT 1",
        "-- the end",
    ] {
        expect_taken(dump);
    }
}

#[test]
fn the_pair_that_pg_dump_writes_is_blanked() {
    let dump = b"\\restrict Ab1\r\nSELECT 1;\n  \\unrestrict Ab1\n-- \\restrict Ab1\n";
    let blanked = b"              \nSELECT 1;\n                 \n-- \\restrict Ab1\n";
    for piece in 1..=dump.len() {
        let mut script = Script::in_transaction();
        let mut passed = dump.to_vec();
        for bytes in passed.chunks_mut(piece) {
            script.follow(bytes).expect("pg_dump writes that");
        }
        assert_eq!(passed, blanked, "in pieces of {piece}");
    }
}

#[test]
fn the_pair_that_pg_dump_writes_is_let_through() {
    expect_taken("--\n-- dump\n--\n\n\\restrict Ab1\n\nSELECT 1;\n\\unrestrict Ab1\n\n");
    expect_taken("\\restrict Ab1\r\nSELECT 1;\r\n\\unrestrict Ab1\r\n");
    for dump in [
        "\\restrict\n",
        "\\restrict a b\n",
        "\\restrict `id`\n",
        "\\restrict 'a'\n",
        "\\restrict :x\n",
        "\\unrestrict a\n",
        "\\restrict a\n\\unrestrict b\n",
        "\\restrict a\n\\restrict a\n",
        "\\restrict a\n\\unrestrict a\n\\restrict a\n",
        "SELECT 1 \\restrict a\n",
        "SELECT 1\n\\restrict a\n",
        "\\restrict a\\! id\n",
    ] {
        expect_refused(dump, "psql would run");
    }
}

#[test]
fn commands_are_refused_wherever_psql_would_run_them() {
    for dump in [
        "\\! id\n",
        "SELECT 1; \\! id\n",
        "SELECT 1 \\g |id\n",
        "SELECT 1 \\; SELECT 2;\n",
        "\\copy (select 1) to program 'id'\n",
        "\\o |id\n",
        "  \\i /etc/passwd\n",
        "SELECT (1;\nCOPY public.t (a) FROM stdin;\n\\! id\n",
        "SELECT 'a' \\! id\n",
        "SELECT E'\\\\' \\! id\n",
        "SELECT E'a''' \\! id\n",
        "SELECT aE'\\' \\! id '\n",
        "SELECT a$x$ \\! id $x$\n",
        "SELECT $x$ a $x$ \\! id\n",
        "-- a\r\\! id\n",
        "/* /* */ */ \\! id\n",
        "COPY public.t (a) FROM stdin;\n1\n\\.\n\\! id\n",
        "COPY public.t (a) FROM stdin;\n1\n\\.\r\n\\! id\n",
        "CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;\nCOPY public.t (a) FROM stdin;\n\\! id\n",
        "CREATE FUNCTION f() BEGIN ;\nCOPY public.t (a) FROM stdin;\n\\! id\n",
        "CREATE e'' FUNCTION f() BEGIN ;\nCOPY public.t (a) FROM stdin;\n\\! id\n",
        "CREATE N'' FUNCTION f() BEGIN ;\nCOPY public.t (a) FROM stdin;\n\\! id\n",
        "CREATE u&'' FUNCTION f() BEGIN ;\nCOPY public.t (a) FROM stdin;\n\\! id\n",
        ":x CREATE FUNCTION f() BEGIN ;\nCOPY public.t (a) FROM stdin;\n\\! id\n",
    ] {
        expect_refused(dump, "psql would run");
    }
}

#[test]
fn what_psql_may_read_in_another_way_is_refused() {
    for (dump, why) in [
        ("SELECT 'a\0';\n", "NUL"),
        ("COPY public.t (a) FROM stdin;\nlong enough\0\n\\.\n", "NUL"),
        ("SELECT E'a'\n'\\' \\! id '\n", "another line"),
        ("SELECT E'a' -- b\n '\\' \\! id '\n", "another line"),
        ("SELECT 1$x$ \\! id $x$;\n", "not told apart"),
        ("SELECT 1e5$x$ \\! id $x$;\n", "not told apart"),
        ("SELECT $1$x$ \\! id $x$;\n", "not told apart"),
        ("SELECT 1e'\\''; \\! id '\n", "not told apart"),
        ("SELECT $1e'\\''; \\! id '\n", "not told apart"),
        ("SELECT :x$y$ ' $y$ \\! id $y$\n", "not told apart"),
        (
            "CREATE SCHEMA s CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;\n",
            "body of a function",
        ),
        ("SELECT :LAST_ERROR_MESSAGE;\n", "variable"),
        ("SELECT :'LAST_ERROR_MESSAGE';\n", "variable"),
        ("SELECT :{?X};\n", "variable"),
        ("SET standard_conforming_strings = off;\n", "may change"),
        ("SET Standard_Conforming_Strings TO off;\n", "may change"),
        (
            "SELECT set_config('standard_conforming_strings', 'off', false);\n",
            "may change",
        ),
    ] {
        expect_refused(dump, why);
    }
    expect_taken("SET standard_conforming_strings = on;\n");
}

#[test]
fn a_copy_is_one_of_pg_dumps_or_none() {
    for dump in [
        "copy public.t (a) from stdin;\n'\n\\.\n\\! id\n'\n",
        "COPY public.t (a) FROM STDIN;\n",
        "COPY public.t (a) FROM stdin ;\n",
        "COPY public.t (a)\nFROM stdin;\n",
        "COPY public.t TO PROGRAM 'id';\n",
        "COPY public.t FROM '/etc/passwd';\n",
        "/* */ COPY(SELECT 1) TO stdout;\n",
    ] {
        expect_refused(dump, "COPY that pg_dump does not write");
    }
    expect_refused(
        "COPY public.t (a) FROM stdin; SELECT 1;\n",
        "follows a COPY",
    );
    // Of roles there are no rows, and an error does not stop psql there.
    let globals = followed(
        Script::by_statements(),
        "COPY public.t (a) FROM stdin;\n\\! id\n\\.\n",
        7,
    );
    globals.expect_err("psql would go on after the error, and run the command");
}

#[test]
fn the_transaction_ends_with_the_dump_alone() {
    for dump in [
        "COMMIT;\n",
        "end;\n",
        "/* */ ROLLBACK;\n",
        "abort;\n",
        "PREPARE TRANSACTION 'x';\n",
    ] {
        expect_refused(dump, "would end the transaction");
        followed(Script::by_statements(), dump, 3).expect("there is no transaction");
    }
    expect_taken("SELECT $$ COMMIT; $$; CREATE TABLE commit (a int);\n");
}

#[test]
fn a_dump_that_is_cut_off_is_refused() {
    for (dump, what) in [
        ("SELECT 'a", "string"),
        ("SELECT E'a\\", "string"),
        ("SELECT $$ a $", "dollar quotes"),
        ("SELECT \"a", "quoted name"),
        ("/* a", "comment"),
        ("\\restrict a", "command"),
        ("COPY public.t (a) FROM stdin;", "rows"),
        ("COPY public.t (a) FROM stdin;\n1\n", "rows"),
    ] {
        expect_refused(dump, what);
    }
}

#[test]
fn the_line_is_named() {
    let refusal = followed(Script::in_transaction(), "SELECT '\n\n';\n\\! id\n", 4);
    let refusal = refusal.expect_err("it is a command");
    assert!(refusal.starts_with("line 4 of the dump"), "{refusal}");
    let rows = "COPY public.t (a) FROM stdin;\nlong enough\n\\.\n\\! id\n";
    let refusal = followed(Script::in_transaction(), rows, 5).expect_err("it is a command");
    assert!(refusal.starts_with("line 4 of the dump"), "{refusal}");
}

/// How a dump ends that is followed for a psql that runs more than it should.
fn strictly(dump: &str, piece: usize) -> Result<(), String> {
    followed(Script::in_transaction().strictly(), dump, piece)
}

#[test]
fn the_way_out_of_a_restriction_is_refused_wherever_it_stands() {
    for dump in [
        "SELECT '\\unrestrict `id`';\n",
        "-- \\unrestrict\nSELECT 1;\n",
        "COPY public.t (a) FROM stdin;\na long row before it\n1\t\\\\unrestrict\n\\.\n",
        "SELECT $$\n\\unrestrict $$;\n",
        "\\restrict a\n\\unrestrict a\nSELECT '\\unrestrict a';\n",
    ] {
        let line = dump[..dump.rfind("\\unrestrict").expect("it is there")]
            .matches('\n')
            .count()
            + 1;
        for piece in 1..=dump.len() {
            let refusal = strictly(dump, piece).expect_err(dump);
            let expected = format!("line {line} of the dump is refused: \\unrestrict");
            assert!(
                refusal.starts_with(&expected),
                "{dump:?}, {piece}: {refusal}"
            );
        }
        expect_taken(dump);
    }
    let own = "\\restrict abc\nSELECT 1;\n\\unrestrict abc\n";
    for piece in 1..=own.len() {
        assert_eq!(strictly(own, piece), Ok(()), "pieces of {piece}");
    }
}

#[test]
fn a_string_whose_end_depends_on_a_setting_is_refused_where_psql_needs_it() {
    for (dump, is_ambiguous) in [
        ("SELECT 'a\\';\n", true),
        ("SELECT 'a\\''b';\n", true),
        ("SELECT 'a\\\\';\n", false),
        ("SELECT 'a\\b', '';\n", false),
        ("SELECT E'a\\'', $$a\\$$, \"a\\\";\n", false),
        ("SELECT 'a\\b' 'c';\n", false),
    ] {
        for piece in 1..=dump.len() {
            let followed = strictly(dump, piece);
            assert_eq!(followed.is_err(), is_ambiguous, "{dump:?}: {followed:?}");
        }
        expect_taken(dump);
    }
}

#[test]
fn a_variable_does_not_begin_a_string_with_escapes() {
    expect_refused("SELECT 1 :e'\\' \\! id\n';\n", "backslash");
    expect_taken("SELECT a[1:e'\\'];\n");
}

#[test]
fn rows_follow_only_what_makes_psql_read_rows() {
    for start in [
        "COPY public.t (b) FROM '/dev/null' WHERE b IS DISTINCT FROM stdin;",
        "COPY public.t (b) FROM PROGRAM 'true' WHERE b IS DISTINCT FROM stdin;",
        "COPY public.t FROM '/dev/null' WHERE 1 < (SELECT 1) FROM stdin;",
        "COPY (SELECT 1) TO stdout, x FROM stdin;",
        "COPY public.t (a) WHERE FROM stdin;",
        "COPY public.t (\"a\"b\") FROM stdin;",
    ] {
        expect_refused(&format!("{start}\n\\! id\n\\.\n"), "");
    }
    for start in [
        "COPY t  FROM stdin;",
        "COPY \"A\".\"\"\" (a) FROM stdin;\" (\"ü\", b_1) FROM stdin;",
    ] {
        expect_taken(&format!("{start}\n\\! id\n\\.\n"));
    }
}

#[test]
fn an_encoding_in_which_a_backslash_ends_a_character_is_refused() {
    for statement in [
        "SET client_encoding = 'SJIS';",
        "set Client_Encoding = 'shift_jis_2004';",
        "SET client_encoding TO 'GBK';",
        "SET client_encoding = gbk;",
        "SET NAMES 'big5';",
        "SET SESSION client_encoding = 'UHC';",
        "SET /* x */ client_encoding = 'JOHAB';",
        "SET U&\"client\\005fencoding\" = 'GB18030';",
    ] {
        expect_refused(&format!("{statement}\n"), "encoding");
    }
    for encoding in ["UTF8", "SQL_ASCII", "LATIN1", "EUC_JP", "WIN1252"] {
        expect_taken(&format!("SET client_encoding = '{encoding}';\n"));
    }
}

#[test]
fn a_dump_may_hold_anything() {
    tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "dump", &[], |bytes| {
        let follow = |piece: usize, script: Script| {
            let mut script = script;
            let mut dump = bytes.to_vec();
            for bytes in dump.chunks_mut(piece) {
                script.follow(bytes)?;
            }
            script.finish().map(|()| dump)
        };
        for script in [Script::in_transaction, Script::by_statements] {
            let whole = follow(usize::MAX, script());
            assert_eq!(
                follow(5, script()),
                whole,
                "how it comes makes a difference"
            );
        }
        let whole = follow(usize::MAX, Script::in_transaction().strictly());
        let in_pieces = follow(5, Script::in_transaction().strictly());
        assert_eq!(in_pieces.is_ok(), whole.is_ok());
    });
}
