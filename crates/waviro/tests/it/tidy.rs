//! Rules of the repository that the compiler does not check, such as the crates that may use a
//! library.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Libraries that only these crates may name in `[dependencies]`. The other crates cannot use
/// such a library at all.
const HOMES: [(&str, &[&str]); 8] = [
    ("clap", &["waviro", "waviro-conform", "wa-sim", "e2e"]),
    (
        "axum",
        &[
            "waviro",
            "waviro-web",
            "waviro-testing",
            "waviro-conform",
            "wa-sim",
            "e2e",
        ],
    ),
    ("askama", &["waviro-web", "wa-sim"]),
    ("utoipa", &["waviro-web"]),
    (
        "reqwest",
        &["waviro-core", "waviro-conform", "waviro-link", "e2e"],
    ),
    ("sqlx", &["waviro-store", "waviro-testing", "e2e"]),
    ("whatsapp-rust", &["waviro-link", "e2e"]),
    ("wa-sim", &["waviro", "e2e"]),
];

/// Returns every source file of the crates in the gateway and the simulator, with the text.
fn sources() -> Vec<(String, String)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = [
        "waviro",
        "waviro-web",
        "waviro-core",
        "waviro-store",
        "waviro-conform",
        "waviro-link",
        "wa-sim",
    ]
    .map(|name| crates.join(name).join("src"))
    .into();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(crates)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

/// Returns the names in `[dependencies]` of each crate.
fn dependencies() -> Vec<(String, Vec<String>)> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = fs::read_dir(crates).unwrap().map(|entry| entry.unwrap());
    let read = |folder: fs::DirEntry| {
        let manifest = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
        let (_, list) = manifest
            .split_once("\n[dependencies]\n")
            .unwrap_or_default();
        let list = list.split("\n[").next().unwrap().lines();
        let names = list.filter_map(|line| line.split(['.', ' ']).next());
        let name = folder.file_name().into_string().unwrap();
        (name, names.map(ToOwned::to_owned).collect())
    };
    let all: Vec<_> = folders.map(read).collect();
    assert!(all.len() > 8, "the manifests were not found");
    all
}

#[test]
fn a_library_is_a_dependency_only_of_its_own_crates() {
    let all = dependencies();
    let mut wrong = Vec::new();
    for (library, homes) in HOMES {
        let using = all
            .iter()
            .filter(|(_, names)| names.iter().any(|it| it == library));
        let using: Vec<&str> = using.map(|(name, _)| &**name).collect();
        assert!(!using.is_empty(), "no crate names {library}");
        wrong.extend(
            using
                .iter()
                .filter(|name| !homes.contains(name))
                .map(|name| format!("{name} names {library}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_simulator_knows_nothing_of_the_gateway() {
    for (file, text) in sources()
        .into_iter()
        .filter(|(file, _)| file.starts_with("wa-sim/"))
    {
        for (at, line) in code(&text) {
            assert!(!line.contains("waviro"), "{file}:{at}: {line}");
        }
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wa-sim/Cargo.toml");
    assert!(!fs::read_to_string(manifest).unwrap().contains("waviro"));
}

/// With the gateway's code the suite would share the gateway's mistakes and could not test another
/// host.
#[test]
fn the_conformance_suite_knows_nothing_of_the_gateway() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../waviro-conform/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    for gateway in ["waviro.", "waviro-link", "wa-sim"] {
        assert!(!manifest.contains(gateway), "{gateway}");
    }
}

#[test]
fn every_quirk_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let quirks = fs::read_to_string(root.join("../../docs/quirks.md")).unwrap();
    let mut tests = String::new();
    let mut folders = [
        "tests",
        "../waviro-web/src",
        "../waviro-core/src",
        "../waviro-core/tests",
        "../waviro-store/src",
        "../waviro-store/tests",
        "../e2e/tests",
    ]
    .map(|part| root.join(part))
    .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                tests.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let rows: Vec<_> = quirks
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("---"))
        .skip(1)
        .collect();
    assert!(rows.len() > 10, "docs/quirks.md has no table");
    for row in rows {
        let test = row.rsplit('|').nth(1).unwrap().trim().trim_matches('`');
        assert!(
            tests.contains(&format!("fn {test}(")),
            "no test {test} for: {row}"
        );
    }
}

/// The documentation lists exactly the codes of the API's refusals.
#[test]
fn every_code_of_a_refusal_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let errors = fs::read_to_string(root.join("../waviro-web/src/api/error.rs")).unwrap();
    let page = fs::read_to_string(root.join("../../docs/api.md")).unwrap();
    let codes: BTreeSet<&str> = errors
        .split("fn code(")
        .skip(1)
        .flat_map(|function| {
            function
                .split("\n    }\n")
                .next()
                .unwrap()
                .split('"')
                .skip(1)
                .step_by(2)
        })
        .collect();
    assert!(codes.len() > 20, "{codes:?}");
    let (_, refusals) = page.split_once("## Refusals").unwrap();
    let documented: BTreeSet<&str> = refusals
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|word| *word != "code")
        .collect();
    assert_eq!(codes, documented);
}

/// Returns the string directly after each `call` in the gateway and its link, with the function
/// around.
fn said(call: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, text) in sources() {
        if file.starts_with("wa-sim/") || file.starts_with("waviro-conform/") {
            continue;
        }
        let mut function = String::new();
        for (_, line) in code(&text) {
            if let Some((_, name)) = line.split_once("fn ") {
                function = name
                    .chars()
                    .take_while(|it| it.is_alphanumeric() || *it == '_')
                    .collect();
            }
            if let Some((_, name)) = line.split_once(call) {
                found.push((function.clone(), name.split('"').next().unwrap().to_owned()));
            }
        }
    }
    found
}

/// A torture run cannot end the process at a listed moment that the code no longer has.
#[test]
fn every_moment_of_the_fault_tests_has_its_place_in_the_code() {
    let mut writes = said(".write(\"");
    writes.extend(said(".change(\""));
    writes.extend(said(".in_background(\""));
    for (function, name) in &writes {
        assert_eq!(function, name, "a write is named after its function");
    }
    // The writes that the writer batches.
    let frequent = ["accept", "apply_acks", "posted", "reply"];
    for write in waviro_fault::WRITES {
        let known = frequent.contains(&write) || writes.iter().any(|(_, name)| name == write);
        assert!(known, "{write}");
    }
    let mut steps: Vec<String> = said("step(\"").into_iter().map(|(_, name)| name).collect();
    steps.sort_unstable();
    let mut listed = waviro_fault::STEPS;
    listed.sort_unstable();
    assert_eq!(steps, listed);
}

/// All writes to the database go through the writer with its moments. Other connections only read.
#[test]
fn nothing_is_written_past_the_writer() {
    let changes = ["INSERT INTO", "UPDATE ", "DELETE FROM"];
    let mut read_pools = 0;
    for (file, text) in sources() {
        if !file.starts_with("waviro-store/src/") {
            continue;
        }
        for function in text.split("fn ").skip(1) {
            if !function.contains("self.reads") {
                continue;
            }
            read_pools += 1;
            let changing = changes.iter().find(|change| function.contains(**change));
            let name = function.split('(').next().unwrap();
            assert!(
                changing.is_none(),
                "{file}: {name} writes and has the connections that read"
            );
        }
    }
    assert!(read_pools > 20, "{read_pools}");
}
