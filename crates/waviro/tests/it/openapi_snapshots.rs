//! Snapshots of an OpenAPI document: a file for each operation, a file for each schema, and a file
//! for the rest, so that a changed operation changes one small file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// Compares the document with the snapshots in the folder, which is relative to this file.
pub fn assert_reviewed(mut document: Value, folder: &str) {
    // The snapshots ignore the version, so a release does not change them.
    document["info"]["version"] = json!("0.0.0");
    let (mut operations, mut schemas) = (BTreeMap::new(), BTreeMap::new());
    // In the rest, an operation is replaced by its id.
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            let id = operation["operationId"].clone();
            let name = id.as_str().unwrap().to_owned();
            let before = operations.insert(name, std::mem::replace(operation, id));
            assert_eq!(before, None, "two operations have the same id");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
        schemas.insert(name.clone(), schema.take());
    }
    let rest = BTreeMap::from([("document".to_owned(), document)]);
    for (below, parts) in [("operations", operations), ("schemas", schemas), ("", rest)] {
        let folder = format!("{folder}/{below}");
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| {
            for (name, part) in &parts {
                insta::assert_json_snapshot!(name.as_str(), part);
            }
        });
        assert_eq!(names(&folder), parts.into_keys().collect(), "{folder}");
    }
}

/// Returns the names of the snapshots in a folder, which must not contain a snapshot of a part that
/// is gone.
fn names(folder: &str) -> BTreeSet<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let files = fs::read_dir(here.join(folder)).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names = files.filter_map(|file| file.strip_suffix(".snap").map(ToOwned::to_owned));
    names.collect()
}
