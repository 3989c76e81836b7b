//! Converts errors of WASI.

use restic_repo::Error;
use wasip2::filesystem::types as data;
use wasip3::filesystem::types::ErrorCode;

/// The error cases of both versions of WASI.
macro_rules! cases {
    ($($case:ident: $words:literal,)*) => {
        fn words(code: &ErrorCode) -> &'static str {
            match code {
                $(ErrorCode::$case => $words,)*
                ErrorCode::Other(_) => "the system does not say why",
            }
        }

        /// The same in the version that the functions here take.
        pub(crate) fn of_data(code: data::ErrorCode) -> ErrorCode {
            match code {
                $(data::ErrorCode::$case => ErrorCode::$case,)*
                data::ErrorCode::WouldBlock => ErrorCode::Busy,
            }
        }
    };
}

cases! {
    Access: "permission denied",
    Already: "it is being done already",
    BadDescriptor: "it is not open for that",
    Busy: "it is in use",
    CrossDevice: "the other name is on another file system",
    Deadlock: "two wait for each other",
    Exist: "it is there already",
    FileTooLarge: "the file system takes no file of that size",
    IllegalByteSequence: "its name is not text",
    InProgress: "it is being done already",
    InsufficientMemory: "out of memory",
    InsufficientSpace: "no space left on the device",
    Interrupted: "it was interrupted",
    Invalid: "the file system does not take it",
    InvalidSeek: "it has no such place",
    Io: "input/output error, which the disk or its connection causes",
    IsDirectory: "it is a directory",
    Loop: "it is a symbolic link, which is not followed",
    MessageSize: "it is too long",
    NameTooLong: "its name is too long",
    NoDevice: "there is no such device",
    NoEntry: "it is not there",
    NoLock: "no lock is left",
    NoSuchDevice: "there is no such device",
    NoTty: "it is not a terminal",
    NotDirectory: "something on the way to it is not a directory",
    NotEmpty: "it is not empty",
    NotPermitted: "permission denied",
    NotRecoverable: "its state is lost",
    Overflow: "a number is too large",
    Pipe: "nobody reads it",
    Quota: "the quota is used up",
    ReadOnly: "the file system or the grant is read-only",
    TextFileBusy: "a program that runs is in it",
    TooManyLinks: "it has too many names",
    Unsupported: "the file system cannot do that",
}

/// The error of an operation on a file or directory.
pub(crate) fn failed(path: &str, what: &str, cause: &ErrorCode) -> Error {
    let text = format!("{path} cannot be {what}: {}", words(cause));
    match cause {
        ErrorCode::NoEntry => Error::NotFound(text),
        ErrorCode::Exist => Error::Exists(text),
        ErrorCode::Busy | ErrorCode::TextFileBusy => Error::Busy(text),
        ErrorCode::Access | ErrorCode::NotPermitted => Error::Denied(text),
        ErrorCode::ReadOnly => Error::ReadOnly(text),
        ErrorCode::InsufficientSpace | ErrorCode::Quota => Error::NoSpace(text),
        _ => Error::Other(text),
    }
}
