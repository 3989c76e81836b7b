//! `tthost`, the program: everything is in the library.

fn main() -> std::process::ExitCode {
    match tthost::confine::launcher() {
        Some(code) => code,
        None => tthost::cli::main(),
    }
}
