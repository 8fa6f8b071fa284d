//! The `ajar` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    ajar::cli::main()
}
