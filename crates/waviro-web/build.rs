//! Generates the Rust code of the texts from the files in `texts`, and stops the build at a text
//! that is missing in one language.

use std::path::Path;
use std::{env, fs, io};

#[path = "src/texts/generate.rs"]
mod generate;

/// Each language: its variant of `Language`, and its file.
const LANGUAGES: [(&str, &str); 2] = [
    ("Indonesian", "texts/id.toml"),
    ("English", "texts/en.toml"),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/texts/generate.rs");
    println!("cargo::rerun-if-changed=texts");
    let read = |(variant, path): (&'static str, &str)| Ok((variant, fs::read_to_string(path)?));
    let languages: io::Result<Vec<_>> = LANGUAGES.into_iter().map(read).collect();
    match generate::rust(&languages?) {
        Ok(code) => {
            let folder = env::var_os("OUT_DIR").unwrap_or_default();
            fs::write(Path::new(&folder).join("texts.rs"), code)
        }
        Err(faults) => {
            for fault in faults {
                println!("cargo::error={fault}");
            }
            Ok(())
        }
    }
}
