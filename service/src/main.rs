//! The program `coffer`.

fn main() -> std::process::ExitCode {
    coffer::run()
}
