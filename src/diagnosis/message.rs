//! The lines of what a command printed, and the fields of the messages in them.
//!
//! A message of git's or ssh's is known by its whole form from the start of a line to its end. Names that others chose
//! stand in the fields of a form, so nothing in a name is taken for a message; a `remote:` line has no form.

use std::ffi::OsStr;
use std::path::PathBuf;

/// How git begins its own messages (usage.c: `die_builtin`, `error_builtin`).
const PREFIXES: [&str; 2] = ["error: ", "fatal: "];

/// How the progress begins that git overwrites, and behind which a message may follow on the same line (progress.c).
const PROGRESS: [&str; 5] = [
    "Receiving objects: ",
    "Resolving deltas: ",
    "Unpacking objects: ",
    "Updating files: ",
    "Filtering content: ",
];

/// How many characters behind a line break make it known as that of a name.
const MIN_START: usize = 6;

/// The lines, from where a message can begin in them to where it ends. ssh ends its own with a carriage return.
pub(super) fn lines(output: &str) -> impl Iterator<Item = &str> {
    output.split('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        if PROGRESS.iter().any(|title| line.starts_with(title)) {
            line.rsplit('\r').next().unwrap_or(line)
        } else {
            line
        }
    })
}

/// Without what OpenSSH 10.1 and later say of each server that has no post-quantum algorithms: no reason of anything.
pub(crate) fn without_warnings(output: &str) -> String {
    let lines = output.split_inclusive('\n');
    lines.filter(|line| !line.starts_with("** ")).collect()
}

/// What was printed, with the names in these paths on one line each. Git cuts a long message, so that a name may end
/// anywhere; the start of what follows a line break is enough to know it.
pub(crate) fn with_names_on_one_line(output: &str, paths: &[PathBuf]) -> String {
    let names = paths.iter().flat_map(|path| path.iter());
    let broken = names.filter(|name| name.as_encoded_bytes().contains(&b'\n'));
    let mut output = output.to_owned();
    for name in broken.map(OsStr::to_string_lossy) {
        for (at, _) in name.match_indices('\n') {
            let before = name[..at].rsplit('\n').next().unwrap_or_default();
            let after = name[at + 1..].split('\n').next().unwrap_or_default();
            let start: String = after.chars().take(MIN_START).collect();
            output = output.replace(
                &format!("{before}\n{start}"),
                &format!("{before}\\n{start}"),
            );
        }
    }
    output
}

/// What stands in the fields of a form, in the first line that has the form.
pub(super) fn find<'o>(output: &'o str, form: &str) -> Option<Vec<&'o str>> {
    lines(output).find_map(|line| fields(line, form))
}

/// What stands in the fields of a form, if the line has it. `*` is a field of any text, `+` one without blanks and quotes.
/// The prefix may be missing, as it is in messages of git's shell scripts and of ssh; not before a field of any text.
///
/// A line that can be read in two ways is not read: a name in it holds the words around the field.
pub(super) fn fields<'l>(line: &'l str, form: &str) -> Option<Vec<&'l str>> {
    let bare = PREFIXES.iter().find_map(|prefix| line.strip_prefix(prefix));
    let line = bare.or_else(|| (!form.starts_with('*')).then_some(line))?;
    let mut readings = Vec::new();
    read(line, form, &mut Vec::new(), &mut readings);
    readings.pop().filter(|_| readings.is_empty())
}

/// Collects the ways to read a line as a form, at most two.
fn read<'l>(
    line: &'l str,
    form: &str,
    caught: &mut Vec<&'l str>,
    readings: &mut Vec<Vec<&'l str>>,
) {
    let Some(at) = form.find(['*', '+']) else {
        if line == form {
            readings.push(caught.clone());
        }
        return;
    };
    let Some(line) = line.strip_prefix(&form[..at]) else {
        return;
    };
    let is_word = form[at..].starts_with('+');
    let form = &form[at + 1..];
    let next = &form[..form.find(['*', '+']).unwrap_or(form.len())];
    let is_last = form.len() == next.len();
    let ends = line.match_indices(next).map(|(end, _)| end);
    // Behind the last field there is nothing but the end.
    let ends = ends.filter(|end| !is_last || line.len() - end == next.len());
    for end in ends {
        let field = &line[..end];
        let fits =
            !field.is_empty() && !field.contains(|c: char| c.is_whitespace() || "'\"`".contains(c));
        if is_word && !fits {
            continue;
        }
        caught.push(field);
        read(&line[end..], form, caught, readings);
        caught.pop();
        if readings.len() > 1 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_from_the_start_of_a_line_to_its_end() {
        for (line, form, expected) in [
            ("fatal: x", "x", Some(&[][..])),
            ("x", "x", Some(&[])),
            ("fatal: xy", "x", None),
            ("remote: fatal: x", "x", None),
            ("error: a 'b' c 'd'", "a '*' c '*'", Some(&["b", "d"])),
            ("error: a 'b c", "a '*'", None),
            ("error: no a: full", "*: full", Some(&["no a"])),
            ("no a: full", "*: full", None),
            ("me@host: no", "+@+: no", Some(&["me", "host"])),
            ("Path 'me@host: no", "+@+: no", None),
            ("a: b c", "a: *", Some(&["b c"])),
            ("a: b c", "a: +", None),
            ("a: ", "a: +", None),
            // In two ways, but for the last quote, which is git's.
            ("a 'x' into 'y' into 'z'", "a '*' into '*'", None),
            ("a 'x'y'", "a '*'", Some(&["x'y"])),
        ] {
            assert_eq!(fields(line, form).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn a_name_with_line_breaks_is_on_one_line() {
        let paths = ["a/x\nfatal: y\nz".into(), "b".into()];
        let shown = |output| with_names_on_one_line(output, &paths);
        assert_eq!(shown("'a/x\nfatal: y\nz'\n"), "'a/x\\nfatal: y\\nz'\n");
        assert_eq!(shown("a/x\nfatal: "), "a/x\\nfatal: ");
        assert_eq!(shown("fatal: y\nw"), "fatal: y\nw");
    }

    #[test]
    fn a_line_begins_behind_progress_and_nowhere_else() {
        for (output, expected) in [
            ("one\r\ntwo", &["one", "two"][..]),
            ("Receiving objects:  50% (1/2)\rfatal: x", &["fatal: x"]),
            ("Path 'a\rfatal: x'", &["Path 'a\rfatal: x'"]),
        ] {
            assert_eq!(lines(output).collect::<Vec<_>>(), expected);
        }
    }
}
