//! Writes what other languages need: `aldis-bindgen header CRATE OUT` a C header, anything else as `uniffi-bindgen`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["header", folder, out] => header(folder, out),
        _ => {
            uniffi::uniffi_bindgen_main();
            ExitCode::SUCCESS
        }
    }
}

/// Generates the header of the crate in `folder`, as its `cbindgen.toml` says.
fn header(folder: &str, out: &str) -> ExitCode {
    match cbindgen::generate(folder) {
        Ok(bindings) => {
            bindings.write_to_file(out);
            ExitCode::SUCCESS
        }
        Err(error) => {
            // The one thing that this program says itself.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("aldis-bindgen: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
