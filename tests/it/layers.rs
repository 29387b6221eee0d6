//! Imports run downwards only. `ARCHITECTURE.md` gives the reasons; this holds the rule.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// From the top down. What is on one line may use each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["config", "app"],
    &["routes"],
    &["error", "web"],
    &["services"],
    &["models"],
    &["db"],
];

/// Two parts of a layer that know nothing of each other.
const APART: &[(&str, &str)] =
    &[("models::platform", "models::institution"), ("web::platform", "web::institution")];

/// Crates that a layer does without.
const WITHOUT: &[(&str, &[&str])] = &[
    ("web", &["diesel", "diesel_migrations"]),
    ("cli", &["diesel", "askama"]),
    ("models", &["actix_web", "actix_session", "actix_multipart", "askama", "clap", "lettre"]),
    ("services", &["actix_web", "actix_session", "actix_multipart", "askama"]),
    ("db", &["actix_web", "actix_session", "askama", "lettre"]),
];

/// A file and the paths it names, such as `crate::models::text::Email`.
struct Source {
    file: PathBuf,
    module: String,
    paths: BTreeSet<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(source(&root, path));
            }
        }
    }
    found
}

fn source(root: &Path, file: PathBuf) -> Source {
    let inside = file.strip_prefix(root).expect("under src").with_extension("");
    let module: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let module = module.join("::").trim_end_matches("::mod").to_owned();
    let code = without_comments_and_tests(&fs::read_to_string(&file).expect("readable"));
    let mut paths = BTreeSet::new();
    for statement in code.split(';') {
        if let Some((before, tree)) = statement.split_once("use ")
            && before
                .trim_end()
                .rsplit(['\n', '}', '{'])
                .next()
                .is_some_and(|start| matches!(start.trim(), "" | "pub" | "pub(crate)" | "pub(super)"))
        {
            expand("", tree.trim(), &mut paths);
        }
    }
    paths.extend(inline_paths(&code));
    let paths = paths.into_iter().map(|path| absolute(&module, &path)).collect();
    Source { file, module, paths }
}

/// Comments name what they like, and tests may look upwards.
fn without_comments_and_tests(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn expand(start: &str, tree: &str, into: &mut BTreeSet<String>) {
    let mut depth = 0;
    let mut from = 0;
    let mut parts = Vec::new();
    for (at, sign) in tree.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[from..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('{') {
            Some((head, rest)) => {
                let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
                expand(&format!("{start}{head}"), inner, into);
            }
            None => {
                let name = part.split(" as ").next().unwrap_or(part).trim();
                into.insert(format!("{start}{name}"));
            }
        }
    }
}

/// Paths inside expressions: whatever starts with `crate::`, `super::` or a crate's name.
fn inline_paths(code: &str) -> BTreeSet<String> {
    let words = code.split(|sign: char| !(sign.is_alphanumeric() || sign == '_' || sign == ':'));
    words.filter(|word| word.contains("::")).map(|word| word.trim_matches(':').to_owned()).collect()
}

/// `super::` and `self::` taken from where they stand.
fn absolute(module: &str, path: &str) -> String {
    let mut place: Vec<&str> = module.split("::").collect();
    let mut rest = path;
    let mut relative = false;
    loop {
        if let Some(after) = rest.strip_prefix("super::") {
            place.pop();
            rest = after;
        } else if let Some(after) = rest.strip_prefix("self::") {
            rest = after;
        } else {
            break;
        }
        relative = true;
    }
    if relative {
        format!("crate::{}::{rest}", place.join("::")).replace("::::", "::")
    } else {
        path.to_owned()
    }
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn is_within(path: &str, module: &str) -> bool {
    path == module || path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

#[test]
fn imports_run_downwards() {
    let mut wrong = Vec::new();
    for source in sources() {
        let own = source.module.split("::").next().unwrap_or_default();
        if own == "lib" {
            continue;
        }
        let own = layer(own).unwrap_or_else(|| panic!("{} belongs to no layer", source.module));
        for path in &source.paths {
            let Some(target) = path.strip_prefix("crate::").or_else(|| path.strip_prefix("provost::")) else {
                continue;
            };
            let target = target.split("::").next().unwrap_or_default();
            if layer(target).is_some_and(|target| target < own) {
                wrong.push(format!("{}: {path}", source.file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn platform_and_institution_do_not_know_each_other() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (one, other) in APART.iter().flat_map(|(a, b)| [(a, b), (b, a)]) {
            if is_within(&source.module, one) {
                let found =
                    source.paths.iter().filter(|path| is_within(path.trim_start_matches("crate::"), other));
                wrong.extend(found.map(|path| format!("{}: {path}", source.file.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_layer_keeps_to_its_crates() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (layer, crates) in WITHOUT {
            if is_within(&source.module, layer) {
                let found =
                    source.paths.iter().filter(|path| crates.iter().any(|name| is_within(path, name)));
                wrong.extend(found.map(|path| format!("{}: {path}", source.file.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reader_of_paths_sees_them_all() {
    let mut paths = BTreeSet::new();
    expand("", "crate::{db::{Id, pools::{A, B as C}}, models}", &mut paths);
    let wanted = ["crate::db::Id", "crate::db::pools::A", "crate::db::pools::B", "crate::models"];
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), wanted);
    assert_eq!(absolute("web::platform::home", "super::super::db"), "crate::web::db");
    assert!(inline_paths("fn f() -> crate::web::Page { diesel::insert(x) }").contains("crate::web::Page"));
    assert!(sources().len() > 80);
}

#[test]
fn no_template_turns_escaping_off() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut wrong) = (vec![root.join("templates"), root.join("src")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("readable");
            let template = path.starts_with(root.join("templates"));
            let other_ending = template && path.extension().is_none_or(|end| end != "html");
            if text.contains("|safe") || text.contains("escape = \"none\"") || other_ending {
                wrong.push(path);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// SQLite would open another institution's file for whoever says so, and only `unsafe` code can forbid it on a
/// connection. So nobody says it.
#[test]
fn nobody_attaches_a_second_database() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = ["src", "migrations_shared", "migrations_tenant"].map(|name| root.join(name)).to_vec();
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("readable").to_uppercase();
            assert!(!text.contains("ATTACH "), "{} says ATTACH", path.display());
            read += 1;
        }
    }
    assert!(read > 100, "{read} files");
}
