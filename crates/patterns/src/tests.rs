use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// Paths and whether they are directories.
type Tree = BTreeMap<Vec<u8>, bool>;

/// What a `.gitignore` holds, and the tree at whose top it is.
struct Case {
    lines: Vec<String>,
    tree: Tree,
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn patterns(exclude: &[&str], include: &[&str]) -> Result<Patterns, PatternError> {
    Patterns::new(&owned(exclude), &owned(include))
}

/// The directories above a path, outermost first.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(index, _)| &path[..index])
}

/// A tree in which what ends with a slash is a directory, as well as what something lies below.
fn tree<'a>(paths: impl IntoIterator<Item = &'a [u8]>) -> Tree {
    let mut tree = Tree::new();
    for path in paths {
        for directory in above(path) {
            tree.insert(directory.to_owned(), true);
        }
        if !path.ends_with(b"/") {
            tree.entry(path.to_owned()).or_insert(false);
        }
    }
    tree
}

/// What is left out when nothing below a directory that is left out is looked at.
fn excluded(case: &Case) -> HashSet<Vec<u8>> {
    let patterns = Patterns::new(&case.lines, &[]).expect("they are patterns");
    let is_excluded = |path: &[u8]| {
        above(path).any(|directory| patterns.exclude(directory, true))
            || patterns.exclude(path, case.tree[path])
    };
    let paths = case.tree.keys().filter(|path| is_excluded(path));
    paths.cloned().collect()
}

/// What git ignores of each tree. A folder of one repository stands for each, so that one process
/// tells it all.
fn ignored_by_git(cases: &[Case]) -> Vec<HashSet<Vec<u8>>> {
    // Thousands of directories are made in it, for which a busy disk takes seconds.
    let memory = Some(Path::new("/dev/shm")).filter(|memory| memory.is_dir());
    let place = memory.map_or_else(std::env::temp_dir, Path::to_owned);
    let repository = tempfile::tempdir_in(place).expect("there is room");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        // What is set for whoever runs this would be ignored too.
        git.args(arguments)
            .current_dir(repository.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", repository.path())
            .env("GIT_CONFIG_NOSYSTEM", "1");
        git
    };
    let made = git(&["init", "--quiet", "--template="]).status();
    assert!(made.expect("git is installed").success());
    let mut asked = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let top = repository.path().join(number.to_string());
        fs::create_dir(&top).expect("it is new");
        // The empty line keeps git from looking for a byte order mark in the first one.
        let lines = format!("\n{}\n", case.lines.join("\n"));
        fs::write(top.join(".gitignore"), lines).expect("there is room");
        // Only for lines with a slash git looks whether something is a directory.
        let are_needed = case.lines.iter().any(|line| line.contains('/'));
        for (path, is_directory) in &case.tree {
            if are_needed && *is_directory {
                fs::create_dir(top.join(OsStr::from_bytes(path))).expect("it is new");
            }
            asked.extend_from_slice(format!("{number}/").as_bytes());
            asked.extend_from_slice(path);
            asked.push(0);
        }
    }
    let mut check = git(&["check-ignore", "--no-index", "--stdin", "-z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    let mut stdin = check.stdin.take().expect("it is a pipe");
    // git answers while it is asked.
    let asking = std::thread::spawn(move || stdin.write_all(&asked));
    let answered = check.wait_with_output().expect("git answers");
    let asking = asking.join().expect("it does not panic");
    asking.expect("git reads all questions");
    assert!(answered.status.success(), "{}", answered.status);
    let mut ignored = vec![HashSet::new(); cases.len()];
    for answer in answered.stdout.split(|byte| *byte == 0) {
        let Some(slash) = answer.iter().position(|byte| *byte == b'/') else {
            continue;
        };
        let number = str::from_utf8(&answer[..slash]).expect("it is a number");
        let number: usize = number.parse().expect("it is a number");
        ignored[number].insert(answer[slash + 1..].to_owned());
    }
    ignored
}

/// Leaves out what git ignores.
fn expect_as_git(cases: &[Case], note: &str) {
    for (case, ignored) in cases.iter().zip(ignored_by_git(cases)) {
        let excluded = excluded(case);
        let readable = |paths: Vec<&Vec<u8>>| {
            let paths = paths.iter().map(|path| path.escape_ascii().to_string());
            paths.collect::<Vec<_>>()
        };
        assert_eq!(
            readable(excluded.difference(&ignored).collect()),
            readable(ignored.difference(&excluded).collect()),
            "{:?} leaves out the left ones, git the right ones {note}",
            case.lines
        );
    }
}

/// Whether git before 2.52 takes the stars for ones after a slash: it leaves aside all that comes
/// before the first special character, and then sees stars at the beginning.
fn is_misread_by_older_git(line: &str) -> bool {
    let glob = line.strip_prefix('!').unwrap_or(line);
    let special = glob.find(['*', '?', '[', '\\']);
    special.is_some_and(|index| {
        let (plain, rest) = glob.split_at(index);
        rest.starts_with("**") && !plain.is_empty() && !plain.ends_with('/')
    })
}

/// Names that patterns of every kind choose from.
#[rustfmt::skip]
const NAMES: &[&[u8]] = &[
    b"a", b"b", b"c", b"A", b"Z", b"ab", b"aB", b"abc", b"a.b", b".a", b"file1", b"file2",
    b"file{1,2}", b"a{b", b"a}b", b"{a,b}", b"[a]", b"[", b"]", b"a]", b"[!a]", b"[]", b"[a", b"[[:upper:]]",
    b"-", b"^", b"!", b"!a", b"#", b"#a", b"\\", b"\\a", b"a\\", b"a\\b", b"*", b"**", b"?", b"a*", b" ", b"  ",
    b"a ", b"a  ", b" a", b"a b", b"a\t", b"\t", b"\r", b"a\r", b"\n", b"a\nb", b"$a", b":", b"a:",
    "é".as_bytes(), "É".as_bytes(), "aé".as_bytes(), "日本".as_bytes(), b"\xff", b"a\xffb", b"\xc3", b"0", b"7", b"x5", b"_", b"~",
    b"\x01", b"\x7f", b"...", b"..a",
];

/// Paths that patterns with slashes choose from.
const DEEP: &[&[u8]] = &[
    b"a/",
    b"d/",
    b"d/a",
    b"d/ab",
    b"d/b/",
    b"d/b/a/",
    b"d/b/a/c",
    b"d/e/b/",
    b"d/e/f/b",
    b"d/e/f/g/b",
    b"dd/e/b",
    b"e/d/a",
    b"e/d/b/a",
    b"e/ab/",
    b"[a-c]/x",
    b"b d/e ",
    b"\xff/\xfe/a",
    b"n\n/\na",
    b"d*/a",
    b"d\\/a",
    "é/a".as_bytes(),
];

/// Patterns that are read wrongly in one way or another.
#[rustfmt::skip]
const ODD: &[&str] = &[
    // Braces are no choice.
    "file{1,2}", "{a,b}", "a{b", "a}b", "{", "}", "{a", "*{*", "*{1,2}",
    // Classes.
    "[[:upper:]]*", "[[:upper:]]", "[[:lower:]]", "[[:alpha:]]", "[[:digit:]]", "[[:alnum:]]",
    "[[:xdigit:]]", "[[:space:]]", "[[:blank:]]", "[[:punct:]]", "[[:cntrl:]]", "[[:graph:]]", "[[:print:]]",
    "[![:alpha:]]", "[^[:print:]]", "[[:alpha:][:digit:]]", "[[:digit:]-a]", "[a[:digit:]]*",
    "[[:nothing:]]", "[[:upper]]", "[[:upper:]", "[[:]", "[[:]]", "[[::]]", "[:upper:]", "[:a]*", "[[:UPPER:]]",
    "[[:a]", "[[:a]:]", "[[:a]-c]", "[[=a=]]", "[[.a.]]", "[[a]", "[[a]]",
    // Sets.
    "[!a]", "[^a]", "[]a]", "[!]a]", "[^]a]", "[]-a]", "[]]", "[]", "[!]", "[^]", "[!", "[^", "[!!]", "[^^]", "[!^]", "[^!]", "[a^]", "[a!]",
    "[a-c]", "[c-a]", "[a-]", "[-a]", "[a-c-e]", "[--0]", "[a-a]", "[!a-c]", "[A-c]", "[a\\-c]", "[\\a-c]",
    "[a-\\c]", "[a-\\]]", "[\\]]", "[\\]a]", "[\\\\]", "[\\[]", "[a\\]", "[\\", "[!\\!]", "[ab]*", "[a][b]", "[a-z]*[0-9]",
    "[é]", "[à-ÿ]", "?[é]", "[é][é]", "[!é]", "[*]", "[?]", "[ ]", "[#]", "[a/]", "d[/]a", "d[!a]a", "d[^x]b/a", "d[+-0]a",
    // Sets that gix-glob reads otherwise as they are.
    "[^\\[\\:al*ha[:]]?", "[[]??*[:x]*", "[\\a-c-[:alpha:]]", "[\\a-[:alpha:]]", "[a-[:b]", "[a-\\[:b]", "[x[:y]z[:w]", "[ab[:c]*", "[!ab[:c]", "[0-9[:]*", "[[:alpha:][:]", "[a[:b]-d]",
    // Never closed.
    "[", "[a", "[a-", "a[", "*[", "[[", "[]a", "a/[", "\\[", "\\[a", "\\[a]", "\\[a\\]", "[a]]",
    // Escapes.
    "\\a", "\\*", "\\?", "a\\*", "a\\\\", "\\\\", "\\\\a", "a\\\\b", "a\\b", "a\\", "\\", "*\\", "\\\\\\", "\\/a", "d\\/a", "a\\/", "\\\\/",
    "d\\\\/a", "d\\*/a", "**\\/a", "d/**\\/b", "d/\\**/b", "\\é",
    // The beginning.
    "#", "#a", "\\#", "\\#a", "!", "!a", "\\!", "\\!a", "!!a", "!#a", "\\\\#", " #a", " a", "!\\!a", "$a", "\\$a", ":", ":a", ":/a",
    // The end.
    "a ", "a  ", "a\\ ", "a\\  ", "a \\ ", "a\\ \\ ", "a\\\\ ", "a \\", "a\\ \\", " ", "  ", "\\ ", "\\  ", "\\ \\ ", "a\t", "\t", "\t ", "a\r", "\r", "a \r", "a\r\r", "a\r ",
    "b d/e ", "b d/e\\ ", "a b", "a/ ", "! ", "!\\ ", "# ", "*\\ ", "[ ] ",
    // Stars.
    "*", "**", "***", "****", "a*", "*a", "*b", "a**", "**a", "*a*", "**a**", "a*b", "a**b", "a***b", "?", "??", "a?", "?*", "*?", "*.*", ".*", "*.", "*\\a",
    "*/a", "*/*", "*/*/*", "**/", "**/a", "**/a/", "**/*", "**/b/a", "**/**", "**/**/a", "**a/b", "***/a", "/**", "/**/", "/**/a", "/***", "a/**", "d/**", "d/**/",
    "d/**/b", "d/**/b/", "d/**/a", "d/**b", "d/**f/b", "d/***", "d/***/b", "d/**/**/b", "d/*/b", "d/*", "d/*/", "*d/a", "?/a", "??/*", "d?b", "d?a", "d*a", "d/*b", "d/*/*/b",
    "*/b/*", "**/e/**", "**/e/**/b", "*/**/b", "**/*/b", "/*/**/b", "/d/**/*", "*/d/**", "**/f*", "**/?/b", "**/[ab]", "d/**/[!a]", "[d]**/b", "?**/b", "\\d**/b", "*d**/b",
    // Slashes.
    "/", "//", "///", "/a", "/a/", "a/", "a//", "//a", "/a//", "d//a", "d/a", "/d/a", "d/a/", "d/b", "d/b/", "/d", "d/", "/d/", "b/a", "/b/a", "e/d", "!/", "!//", "/!a", "/#a", "/\\!a", "/ a", "/*", "/*/", "/?", "/[ab]",
    // Dots.
    ".", "..", "./a", "./d/a", "../a", "d/./a", "d/../a", "...", "..*", ".a", "a.b", "/.",
    // Letters and bytes.
    "A", "ab", "AB", "é", "É", "?é", "a?", "a??", "??????", "日本", "日*", "*本", "日?", "日???", "a?b", "*\u{fffd}*", "\u{feff}a", "e\u{301}", "é/a", "?/?/a", "n?/?a", "n*/a", "n*/*a", "\u{1}", "\u{7f}", "~", "_",
];

/// Lines of which the last that matches decides.
const SEVERAL: &[&[&str]] = &[
    &["*", "!a"],
    &["!a", "*"],
    &["*", "!*/", "!a"],
    &["*", "!d/", "d/*", "!d/b", "d/b/*", "!d/b/a"],
    &["/*", "!/d"],
    &["d/", "!d/a"],
    &["d/*", "!d/a"],
    &["d/**", "!d/a"],
    &["**", "!**/"],
    &["a*", "!ab", "abc"],
    &["*", "", "#a", "!#a", "!\\!a"],
    &["#a", "\\#a", "!"],
    &["*", "!/d/**/b"],
    &["[a-z]*", "![[:lower:]][[:upper:]]"],
    &["a", "!a/"],
    &["a/", "!a"],
    &["*", "! ", "!\\ "],
    &["a\r", "!ab\r"],
    &[],
];

#[test]
fn odd_patterns_mean_what_they_mean_to_git() {
    let tree = tree(NAMES.iter().chain(DEEP).copied());
    let single = ODD.iter().map(std::slice::from_ref);
    let cases = single.chain(SEVERAL.iter().copied()).map(|lines| Case {
        lines: owned(lines),
        tree: tree.clone(),
    });
    let cases: Vec<_> = cases.collect();
    expect_as_git(&cases, "");
}

/// What random patterns and names are put together from.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "a", "a", "b", "b", "A", "/", "/", "/", "*", "*", "*", "**", "/**/", "**/", "/**", "?", "?", "[", "]", "[a", "[!", "[^", "!", "^", "-", "\\",
    " ", "#", ":", "[:alpha:]", "[[:upper:]]", "[a-b]", "[!a]", "[^b]", "[]a]", "{", ",", "}", ".", "é", "\t", "\r",
];

fn random_text(random: &mut fastrand::Rng, pieces: usize) -> String {
    (0..random.usize(1..=pieces))
        .filter_map(|_| random.choice(PIECES))
        .copied()
        .collect()
}

/// Names that are text, and some that are none.
fn random_name(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut name = random_text(random, 3).replace('/', "").into_bytes();
    match random.u8(0..16) {
        0 => name.push(b'\xff'),
        1 => name.push(b'\n'),
        _ => {}
    }
    // Neither is a name that a directory can hold.
    if name.is_empty() || name == b"." || name == b".." {
        name = b"ab".to_vec();
    }
    name
}

fn random_path(random: &mut fastrand::Rng) -> Vec<u8> {
    let names: Vec<_> = (0..random.usize(1..=4))
        .map(|_| random_name(random))
        .collect();
    let mut path = names.join(&b'/');
    if random.u8(0..3) == 0 {
        path.push(b'/');
    }
    path
}

/// A pattern of which something can match: one that was made of a path.
fn blurred(random: &mut fastrand::Rng, path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path).replace(['\n', '\u{fffd}'], "?");
    let blurred = text.chars().map(|char| match random.u8(0..16) {
        0 => "*".to_owned(),
        1 => "?".to_owned(),
        2 => "**".to_owned(),
        3 => format!("\\{char}"),
        4 => format!("[{char}]"),
        5 => format!("[!{char}]"),
        6 => format!("{char}*"),
        7 => String::new(),
        8 if char == '/' => "/**/".to_owned(),
        _ => char.to_string(),
    });
    blurred.collect()
}

fn random_case(random: &mut fastrand::Rng) -> Case {
    let paths: Vec<_> = (0..12).map(|_| random_path(random)).collect();
    let mut lines: Vec<_> = (0..random.usize(1..=3))
        .map(|_| match random.choice(&paths) {
            Some(path) if random.bool() => blurred(random, path),
            _ => random_text(random, 6),
        })
        .collect();
    lines.retain(|line| !is_misread_by_older_git(line));
    Case {
        lines,
        tree: tree(paths.iter().map(Vec::as_slice)),
    }
}

#[test]
fn random_patterns_mean_what_they_mean_to_git() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let cases: Vec<_> = (0..400).map(|_| random_case(&mut random)).collect();
    expect_as_git(&cases, &format!("with the seed {seed}"));
}

#[test]
fn stars_beside_other_characters_are_single_ones() {
    let patterns = patterns(&["a**/b", "c/d**"], &[]).expect("they are patterns");
    for (path, excluded) in [
        ("a/b", true),
        ("ax/b", true),
        ("a/x/b", false),
        ("ax/y/b", false),
        ("c/dx", true),
        ("c/dx/y", false),
    ] {
        let found = patterns.exclude(path.as_bytes(), false);
        assert_eq!(found, excluded, "{path}");
    }
}

#[test]
fn as_many_stars_as_are_allowed_are_followed() {
    for (piece, path) in [("*a", "a".repeat(64)), ("**/", "a".to_owned())] {
        let pattern = format!("{}a", piece.repeat(63));
        let patterns = patterns(&[&pattern], &[]).expect("it is a pattern");
        assert!(patterns.exclude(path.as_bytes(), false), "{piece}");
    }
}

#[test]
fn includes_choose() {
    let patterns = patterns(&[], &["/photos", "*.pdf"]).expect("they are patterns");
    assert!(patterns.are_selective());
    assert!(patterns.include(b"photos", true));
    assert!(patterns.include(b"letters/a.pdf", false));
    assert!(patterns.include(b"letters/not \xff text.pdf", false));
    assert!(!patterns.include(b"letters", true));
}

#[test]
fn all_is_taken_where_nothing_is_said() {
    let patterns = patterns(&[], &[]).expect("they are patterns");
    assert!(!patterns.are_selective());
    assert!(patterns.include(b"anything", false));
    assert!(!patterns.exclude(b"anything", false));
}

#[test]
fn what_is_no_pattern_is_named() {
    let stars = "*a".repeat(64);
    for (pattern, named) in [
        (
            "a\nb",
            "include has \"a\\nb\", which is not a pattern: each line",
        ),
        (
            "a\0b",
            "include has \"a\\0b\", which is not a pattern: no name",
        ),
        (
            &stars,
            "*a\", which is not a pattern: it has stars in more than 63 places",
        ),
    ] {
        let error = patterns(&[], &["fine", pattern]).expect_err("it is not a pattern");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn a_pattern_may_hold_anything() {
    tthost_fuzz::feed(env!("CARGO_MANIFEST_DIR"), "pattern", &[], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        // The first line is what the others are compared with.
        let mut lines = text.lines().map(str::to_owned);
        let path = lines.next().unwrap_or_default();
        let lines: Vec<_> = lines.take(16).collect();
        if let Ok(patterns) = Patterns::new(&lines, &[]) {
            patterns.exclude(path.as_bytes(), false);
        }
        if let Ok(patterns) = Patterns::new(&[], &lines) {
            patterns.include(path.as_bytes(), true);
        }
    });
}
