//! The rules of the house that a compiler does not check.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tree::paths_below;

/// A file with more lines than this, its tests not counted, says in its first line why it is long.
const MAX_LINES: usize = 600;

/// The texts of all Rust files below a folder of the project.
pub(crate) fn sources(folder: &str) -> BTreeMap<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let found: BTreeMap<_, _> = paths_below(&folder, |_| true)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    assert!(!found.is_empty());
    found
}

/// The room that a file belongs to: its name, or the folder that it is in.
fn room(file: &Path) -> String {
    let below = file
        .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .unwrap();
    let first = below.components().next().unwrap().as_os_str();
    Path::new(first)
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

/// The rooms in the order of the map at the top of main.rs.
fn map() -> Vec<String> {
    let main = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs");
    let main = fs::read_to_string(main).unwrap();
    let rows = main.lines().filter_map(|line| line.strip_prefix("//! | ["));
    let cells = rows.map(|row| row.split(" | ").next().unwrap());
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

/// The place of a room in the map. The program itself stands at the end of it.
fn place(map: &[String], room: &str) -> usize {
    if room == "main" {
        return map.len();
    }
    let place = map.iter().position(|known| known == room);
    place.unwrap_or_else(|| panic!("`{room}` is not in the map of main.rs"))
}

/// The rooms that a text names as `crate::room` or inside `crate::{…}`.
fn known_rooms(text: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    let mut rooms = Vec::new();
    for after in text.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            rooms.push(name(after));
            continue;
        };
        let (mut depth, mut starts) = (0, true);
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => starts = true,
                _ if starts && !character.is_whitespace() => {
                    rooms.push(name(&group[at..]));
                    starts = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

#[test]
fn a_room_knows_only_those_above_it_in_the_map() {
    assert_eq!(
        known_rooms("use crate::{git::{self, Checkout}, site};\nuse crate::cgi::Request;"),
        ["git", "site", "cgi"]
    );
    let map = map();
    let mut arrows = 0;
    for (file, text) in sources("src") {
        let here = room(&file);
        for known in known_rooms(&text).iter().filter(|known| **known != here) {
            arrows += 1;
            assert!(
                place(&map, known) < place(&map, &here),
                "{here} knows {known}: {}",
                file.display()
            );
        }
        place(&map, &here);
    }
    assert!(arrows > 20, "only {arrows} arrows were found");
}

#[test]
fn nothing_is_imported_wholesale_outside_tests() {
    for (file, text) in sources("src") {
        let before_tests = text.split("#[cfg(test)]").next().unwrap();
        let wholesale = before_tests
            .lines()
            .find(|line| line.trim_start().starts_with("use ") && line.contains("::*"));
        assert_eq!(wholesale, None, "{}", file.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    let later = ["TO", "DO"].concat();
    let fix = ["FIX", "ME"].concat();
    for (file, text) in sources("src").into_iter().chain(sources("tests")) {
        for word in [later.as_str(), fix.as_str()] {
            assert!(!text.contains(word), "{word} in {}", file.display());
        }
    }
}

#[test]
fn the_compiler_forbids_what_is_not_checked() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("\nunsafe_code = \"forbid\"\n"));
}

#[test]
fn every_room_says_what_it_is_for() {
    for (file, text) in sources("src") {
        assert!(
            text.starts_with("//! "),
            "{} does not begin with `//! `",
            file.display()
        );
    }
}

/// What a file may say of itself in its first line.
const REASONS: [&str; 2] = ["table", "list of cases"];

#[test]
fn a_long_file_says_why() {
    for (file, text) in sources("src") {
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        let first = text.lines().next().unwrap();
        assert!(
            lines <= MAX_LINES || REASONS.iter().any(|reason| first.contains(reason)),
            "{} has {lines} lines",
            file.display()
        );
    }
}
