//! Commands and options of restic, rustic and borg that tthost does not have. Explains what to type instead. Without
//! this, clap suggests any similar word: `restore` for `rewrite`.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

/// Words with the same meaning, and what to do.
type Words = (&'static [&'static str], &'static str);

/// Commands.
const COMMANDS: &[Words] = &[
    (
        &["create", "save", "archive"],
        "`tthost backup` runs a job, `tthost backup DIR` backs up a directory",
    ),
    (
        &["find", "search", "locate"],
        "there is nothing for it yet: `tthost ls SNAPSHOT --recursive` lists every file, for grep to search",
    ),
    (
        &["diff", "compare"],
        "there is nothing for it yet: `restic diff` works on the same repository",
    ),
    (
        &["mount", "umount", "webdav", "serve"],
        "there is nothing for it yet: look with `tthost ls`, and fetch files with `tthost dump` or `tthost restore --path`",
    ),
    (
        &["stats", "du", "info", "repoinfo"],
        "there is nothing for it yet: `tthost snapshots` shows the size of each snapshot",
    ),
    (
        &["show"],
        "`tthost snapshots` lists snapshots, `tthost ls` their files, `tthost config show` the configuration",
    ),
    (
        &["show-config", "env", "options"],
        "`tthost config show` prints the configuration with all defaults",
    ),
    (
        &["validate"],
        "`tthost config check` checks the configuration, `tthost check` a repository",
    ),
    (
        &["tag"],
        "new snapshots get tags with `tthost run --tag`; to change those of old ones there is nothing yet: `restic tag` \
         works on the same repository",
    ),
    (
        &["rewrite", "recreate", "merge", "rename"],
        "there is nothing for it yet: `restic rewrite` works on the same repository",
    ),
    (
        &["recover"],
        "there is nothing for it yet: `restic recover` works on the same repository",
    ),
    (
        &["repair", "rebuild-index"],
        "there is nothing for it yet: `tthost check` tells what is damaged, and `restic repair` works on the same \
         repository",
    ),
    (
        &["key", "passwd", "password"],
        "there is nothing for it yet: `restic key` works on the same repository",
    ),
    (
        &["migrate", "upgrade-repo"],
        "there is nothing for it yet: tthost reads repositories of version 1 and 2, and `restic migrate` upgrades them",
    ),
    (
        &["cache"],
        "there is nothing to clean up: --cache-dir says where compiled plugins are, and they may be removed",
    ),
    (
        &["cat"],
        "`tthost dump SNAPSHOT PATH` prints a file of a snapshot; for objects of the repository, use `restic cat`",
    ),
    (
        &["extract"],
        "`tthost restore SNAPSHOT --to DIR` writes files into a directory",
    ),
    (
        &["export-tar", "tar", "export"],
        "`tthost dump SNAPSHOT DIR` writes a directory as a tar archive",
    ),
    (
        &["compact", "gc", "cleanup", "clean"],
        "`tthost prune` removes old snapshots and the data that only they needed",
    ),
    (
        &["break-lock"],
        "`tthost unlock` removes locks that a crashed process left",
    ),
    (
        &["sync", "push", "replicate"],
        "`tthost copy` copies snapshots from one sink to another",
    ),
    (
        &["generate"],
        "`tthost completions SHELL` prints a completion script",
    ),
    (
        &["self-update", "update", "upgrade"],
        "tthost does not update itself: install the new version as you installed this one",
    ),
    (&["version"], "`tthost --version` prints the version"),
    (
        &["features"],
        "`tthost plugin list` lists what this program has",
    ),
];

/// Options. They are looked up where a command does not have them.
const OPTIONS: &[Words] = &[
    (
        &["-r", "--repo", "--repository", "--repository-file"],
        "a sink names the repository: set RESTIC_REPOSITORY, or write a configuration, and choose with --sink; `tthost init` \
         takes --repository",
    ),
    (
        &[
            "-p",
            "--password-file",
            "--password-command",
            "--insecure-no-password",
        ],
        "set RESTIC_PASSWORD_FILE or RESTIC_PASSWORD_COMMAND, or name the file in grants.secrets.password of the sink",
    ),
    (&["--key-hint"], "tthost tries every key of the repository"),
    (
        &["-o", "--option"],
        "settings of a sink are in its `config` table; `tthost plugin inspect SINK` prints them",
    ),
    (
        &["--no-lock", "--retry-lock"],
        "tthost locks as little as it can, and passes over locks that nobody refreshed for 30 minutes; run it again when \
         somebody else holds one",
    ),
    (
        &["--no-cache", "--cleanup-cache"],
        "repositories are not cached; --cache-dir says where compiled plugins are",
    ),
    (
        &["--cacert", "--insecure-tls"],
        "set RESTIC_CACERT, or `ca` beside the origin in grants.network",
    ),
    (
        &["--limit-upload", "--limit-download", "--tls-client-cert"],
        "there is nothing for it yet",
    ),
    (
        &["--compression", "--pack-size", "--read-concurrency"],
        "there is nothing to set: tthost chooses it",
    ),
    (
        &[
            "-e",
            "--exclude",
            "--iexclude",
            "--include",
            "--iinclude",
            "--exclude-file",
            "--exclude-caches",
            "--exclude-if-present",
            "--exclude-larger-than",
            "--files-from",
            "-x",
            "--one-file-system",
        ],
        "what a source takes is in its `config` table: exclude, include, exclude-caches and one-file-system",
    ),
    (
        &["--stdin", "--stdin-filename", "--stdin-from-command"],
        "there is nothing for it yet: a source runs a program that is granted to it, and sees whether it fails",
    ),
    (
        &["--parent"],
        "tthost finds the snapshot before by itself; --force reads all files",
    ),
    (
        &[
            "--with-atime",
            "--ignore-inode",
            "--ignore-ctime",
            "--skip-if-unchanged",
        ],
        "there is nothing for it yet",
    ),
    (&["--remove-all"], "write --all"),
    (
        &[
            "--max-unused",
            "--max-repack-size",
            "--repack-cacheable-only",
            "--repack-small",
            "--repack-uncompressed",
        ],
        "there is nothing to set: tthost chooses what is worth writing anew",
    ),
    (
        &["--check-unused", "--with-cache"],
        "there is nothing for it: `tthost check` looks at all that the repository has, without a cache",
    ),
    (&["-t"], "write --target, or --to for a directory"),
    (&["-H"], "write --host"),
    (&["--last"], "write --latest COUNT"),
    (
        &["--prune"],
        "`tthost prune` removes snapshots and frees their space in one go",
    ),
    (
        &["--overwrite"],
        "tthost asks before it overwrites; --yes answers",
    ),
    (
        &["-C", "--create"],
        "a restoration creates the databases that are missing",
    ),
];

/// The same error, with what to do in the place of what looks alike.
pub(super) fn explain(mut error: clap::Error) -> clap::Error {
    let tip = [
        (ContextKind::InvalidSubcommand, COMMANDS),
        (ContextKind::InvalidArg, OPTIONS),
    ];
    let tip = tip
        .into_iter()
        .find_map(|(kind, words)| look_up(&error, kind, words));
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        let tips = vec![StyledStr::from(tip)];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    }
    error
}

/// Advice on the word that an error names.
fn look_up(error: &clap::Error, kind: ContextKind, words: &[Words]) -> Option<&'static str> {
    use clap::error::ErrorKind::{InvalidSubcommand, UnknownArgument};
    if !matches!(error.kind(), InvalidSubcommand | UnknownArgument) {
        return None;
    }
    let Some(ContextValue::String(named)) = error.get(kind) else {
        return None;
    };
    let word = named.split('=').next()?;
    let found = words.iter().find(|(words, _)| words.contains(&word));
    found.map(|(_, tip)| *tip)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::super::args::Cli;
    use super::*;

    fn refused(line: &str) -> String {
        let error = Cli::try_parse_from(line.split_whitespace()).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        explain(error).to_string()
    }

    #[test]
    fn a_word_of_restics_says_what_to_do_instead() {
        for (line, tip, misleading) in [
            ("tthost rewrite", "restic rewrite", "restore"),
            ("tthost recover", "restic recover", "restore"),
            ("tthost mount /mnt", "tthost ls", "similar"),
            ("tthost self-update", "does not update itself", "similar"),
            (
                "tthost -r /srv/repo snapshots",
                "RESTIC_REPOSITORY",
                "as a value",
            ),
            (
                "tthost snapshots --repo=/srv/repo",
                "RESTIC_REPOSITORY",
                "as a value",
            ),
            ("tthost run --exclude *.tmp", "exclude-caches", "similar"),
            ("tthost restore latest -t /tmp", "--target", "as a value"),
            ("tthost snapshots --last 5", "--latest", "similar"),
        ] {
            let text = refused(line);
            assert!(text.contains(tip) && !text.contains(misleading), "{text}");
        }
    }

    #[test]
    fn a_mistyped_word_is_answered_with_the_right_one() {
        for (line, right) in [
            ("tthost snapshot", "snapshots"),
            ("tthost run --sorce x", "--source"),
        ] {
            assert!(refused(line).contains(right), "{line}");
        }
    }

    #[test]
    fn no_word_is_a_command_and_none_is_there_twice() {
        let command = Cli::command();
        let words = COMMANDS.iter().chain(OPTIONS).flat_map(|(words, _)| *words);
        let mut seen = std::collections::BTreeSet::new();
        for word in words {
            assert!(
                command.find_subcommand(word).is_none(),
                "{word} is a command"
            );
            assert!(seen.insert(word), "{word} is there twice");
        }
    }
}
