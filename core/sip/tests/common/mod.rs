//! The vectors of `tests/vectors`, for the tests of this crate.
#![allow(dead_code)] // each test file uses its own part

use std::fs;
use std::path::{Path, PathBuf};

/// One vector: the bytes, and how they must be read.
pub struct Vector {
    /// Folder and name.
    pub name: String,
    /// The message as a datagram would carry it.
    pub bytes: Vec<u8>,
    /// The expectation.
    pub expected: serde_json::Value,
}

impl Vector {
    /// Whether this is a message to act on.
    pub fn is_message(&self) -> bool {
        self.expected["judgement"] == "message"
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

/// All vectors of the folders, in the order of their names.
pub fn vectors(folders: &[&str]) -> Vec<Vector> {
    let mut all = Vec::new();
    for folder in folders {
        let directory = root().join(folder);
        let mut paths: Vec<PathBuf> = fs::read_dir(&directory)
            .expect("the folder of vectors")
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "sip")) {
            let expected =
                fs::read_to_string(path.with_extension("json")).expect("an expectation beside the message");
            all.push(Vector {
                name: format!("{folder}/{}", path.file_stem().unwrap().to_string_lossy()),
                bytes: fs::read(path).unwrap(),
                expected: serde_json::from_str(&expected).expect("an expectation in JSON"),
            });
        }
    }
    all
}

/// All vectors there are.
pub fn all_vectors() -> Vec<Vector> {
    vectors(&["rfc4475", "rfc5118", "own"])
}
