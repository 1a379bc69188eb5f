//! What the files say.

use std::path::{Component, Path};

use crate::search::{calls, identifiers, is_word, paths_from, paths_to};
use crate::{Violation, shipped_code};

/// A file of the project: its path relative to the workspace, with `/`, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path relative to the workspace's root.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl SourceFile {
    /// A file, for tests.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Rust code that ships: not a test, benchmark or example of its crate.
    fn ships(&self) -> bool {
        let folders = self.path.split('/').skip(1);
        self.path.ends_with(".rs")
            && !self.path.ends_with("/tests.rs")
            && !folders.into_iter().any(|folder| ["tests", "benches", "examples"].contains(&folder))
    }
}

/// Identifiers that part of the tree may not use.
struct Ban {
    within: &'static [&'static str],
    except: &'static [&'static str],
    identifiers: &'static [&'static str],
    reason: &'static str,
}

const PURE: &[&str] = &["core/sip/src/", "core/trust/src/", "core/agent/src/"];

const BANS: &[Ban] = &[
    Ban {
        within: PURE,
        except: &[],
        identifiers: &["tokio", "async_std", "smol", "mio", "socket2", "hickory_resolver"],
        reason: "no runtime here: bytes are arguments",
    },
    Ban {
        within: PURE,
        except: &[],
        identifiers: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
            "UnixDatagram",
            "ToSocketAddrs",
        ],
        reason: "no sockets here: bytes are arguments",
    },
    Ban {
        within: PURE,
        except: &[],
        identifiers: &["Instant", "SystemTime", "now_utc", "now_local"],
        reason: "no clock here: time is an argument",
    },
    Ban {
        within: PURE,
        except: &[],
        identifiers: &[
            "getrandom",
            "thread_rng",
            "OsRng",
            "SysRng",
            "from_os_rng",
            "from_entropy",
            "new_v4",
            "now_v7",
            "SystemRandom",
        ],
        reason: "no randomness here: the seed is an argument",
    },
    Ban {
        within: &["core/agent/src/"],
        except: &[],
        identifiers: &["HashMap", "HashSet", "RandomState"],
        reason: "randomly seeded: a failing simulation could not be replayed",
    },
    Ban {
        within: &["core/client/src/"],
        except: &["core/client/src/net"],
        identifiers: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "lookup_host",
            "hickory_resolver",
            "tokio_rustls",
        ],
        reason: "sockets and DNS are core/client/src/net's",
    },
    Ban {
        within: &["core/", "apps/", "bindings/", "tests/"],
        except: &["bindings/"],
        identifiers: &["uniffi"],
        reason: "UniFFI is bindings/ffi's",
    },
];

/// Paths (with all that is below them) that pure packages may not use.
const BANNED_PATHS: &[(&str, &str)] = &[
    ("std::env", "no environment here"),
    ("std::fs", "no files here"),
    ("std::process", "no processes here"),
    ("std::thread", "no threads here"),
    ("std::io::stdin", "no terminal here"),
    ("std::io::stdout", "no terminal here"),
    ("std::io::stderr", "no terminal here"),
    ("UnixTime::now", "no clock here: time is an argument"),
];

/// Checks every file.
#[must_use]
pub fn check(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut dangerous = Vec::new();
    let mut asserted = Vec::new();
    for file in files {
        violations.extend(outside_paths(file));
        if !file.ships() {
            continue;
        }
        let code = shipped_code(&file.text);
        for ban in BANS.iter().filter(|ban| starts_with_any(&file.path, ban.within)) {
            if starts_with_any(&file.path, ban.except) {
                continue;
            }
            for identifier in ban.identifiers {
                violations.extend(identifiers(&code, identifier).map(|at| {
                    Violation::new(place(file, &code, at), format!("{identifier}: {}", ban.reason))
                }));
            }
        }
        if starts_with_any(&file.path, PURE) {
            violations.extend(banned_paths(file, &code));
        }
        dangerous.extend(calls(&code, "dangerous").map(|at| (file, place(file, &code, at))));
        asserted.extend(
            paths_to(&code, "ServerCertVerified", "assertion").map(|at| (file, place(file, &code, at))),
        );
        violations.extend(paths_to(&code, "HandshakeSignatureValid", "assertion").map(|at| {
            Violation::new(place(file, &code, at), "a handshake signature is verified, never asserted")
        }));
    }
    violations.extend(only_place(&dangerous, "core/client/src/net", "`.dangerous()` stands in one file of"));
    violations.extend(only_place(
        &asserted,
        "core/trust/src/",
        "`ServerCertVerified::assertion()` stands once, in",
    ));
    if asserted.len() > 1 {
        let places = asserted.iter().map(|(_, place)| place.as_str()).collect::<Vec<_>>().join(", ");
        violations.push(Violation::new(places, "`ServerCertVerified::assertion()` stands once in the tree"));
    }
    violations.sort();
    violations
}

/// Everything in `found` is below `home`, and in one file.
fn only_place(found: &[(&SourceFile, String)], home: &str, rule: &str) -> Vec<Violation> {
    let first = found.iter().find(|(file, _)| file.path.starts_with(home)).map(|(file, _)| &file.path);
    let strays = found.iter().filter(|(file, _)| Some(&file.path) != first);
    strays.map(|(_, place)| Violation::new(place.clone(), format!("{rule} {home}"))).collect()
}

fn starts_with_any(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

fn place(file: &SourceFile, code: &str, at: usize) -> String {
    let line = code.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    format!("{}:{line}", file.path)
}

fn banned_paths(file: &SourceFile, code: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, reason) in BANNED_PATHS {
        let first = path.split("::").next().unwrap_or(path);
        for at in identifiers(code, first) {
            // A `use` may hold a group of them.
            let named = paths_from(&code[at..]);
            let below = format!("{path}::");
            if named.iter().any(|named| named == path || named.starts_with(&below)) {
                violations.push(Violation::new(place(file, code, at), format!("{path}: {reason}")));
            }
        }
    }
    violations
}

/// Absolute paths of somebody's machine, and relative ones that climb out of the project.
fn outside_paths(file: &SourceFile) -> Vec<Violation> {
    // Written in two pieces, or this file would break its own rule.
    const FOLDERS: &[&str] =
        &[concat!("/", "home/"), concat!("/", "root/"), concat!("/", "Users/"), concat!("/", "work/")];
    let depth = file.path.matches('/').count();
    let mut violations = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let place = || format!("{}:{}", file.path, number + 1);
        for folder in FOLDERS {
            // Behind a name it is part of a longer path or of a web address.
            let named = line.match_indices(folder).any(|(at, _)| {
                let before = at.checked_sub(1).map(|index| line.as_bytes()[index]);
                !before.is_some_and(|byte| is_word(byte) || b"./-}*>".contains(&byte))
            });
            if named {
                violations.push(Violation::new(place(), format!("a path of one machine: {folder}")));
            }
        }
        if longest_climb(line) > depth {
            violations.push(Violation::new(place(), "a relative path that leaves the project"));
        }
    }
    violations
}

/// The longest run of `../` that begins a path in this line.
fn longest_climb(line: &str) -> usize {
    let mut longest = 0;
    for (at, _) in line.match_indices("../") {
        let before = at.checked_sub(1).map(|index| line.as_bytes()[index]);
        if before.is_some_and(|byte| is_word(byte) || b"./".contains(&byte)) {
            continue;
        }
        let run = line.as_bytes()[at..].chunks(3).take_while(|chunk| *chunk == b"../").count();
        longest = longest.max(run);
    }
    longest
}

/// Reads every text file of the project below `root`; build output and the version control's own files are not its.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn read_tree(root: &Path) -> std::io::Result<Vec<SourceFile>> {
    const NOT_OURS: &[&str] = &["target", ".git", "node_modules", ".gradle", ".build"];
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                    folders.push(path);
                }
            } else if kind.is_file() {
                // What is not UTF-8 is no text: certificates, messages of a fuzzer.
                if let Ok(text) = String::from_utf8(std::fs::read(&path)?) {
                    let relative = path.strip_prefix(root).unwrap_or(&path);
                    let names = relative.components().filter_map(|component| match component {
                        Component::Normal(name) => Some(name.to_string_lossy()),
                        _ => None,
                    });
                    files.push(SourceFile { path: names.collect::<Vec<_>>().join("/"), text });
                }
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}
