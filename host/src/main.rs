//! `tthost`, the program: everything is in the library.

fn main() -> std::process::ExitCode {
    tthost::cli::main()
}
