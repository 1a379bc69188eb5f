//! The `aldis` command.
fn main() {}
