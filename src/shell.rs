//! The words and commands that reports print: whoever reads them can paste them into a shell as they stand.
//!
//! Must not know what a command is for.

use std::path::Path;

use crate::user::User;

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    word(&path.to_string_lossy())
}

/// A word as a shell takes it.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else if text.contains(char::is_control) {
        in_octal(text)
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A word with control characters, on one line: printf(1) makes them.
fn in_octal(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b' '..=b'~' if !b"'\\%".contains(&byte) => char::from(byte).to_string(),
        byte => format!("\\{byte:03o}"),
    });
    format!("\"$(printf '{}')\"", bytes.collect::<String>())
}

/// Makes everything in a folder a user's own.
pub(crate) fn give_to(user: &User, path: &Path) -> String {
    let name = user.in_commands();
    as_root(user, &format!("chown -R {} {}", word(&name), quoted(path)))
}

/// A setting of git's for everything that a user does, where that user has no home of its own for all users.
pub(crate) fn git_config(user: &User, setting: &str) -> String {
    match user.own_home() {
        Some(_) => format!("git config --global {setting}"),
        None => format!("sudo git config --system {setting}"),
    }
}

/// A command as a person has to type it for `user`: as itself, or through sudo where nobody can log in as that user.
pub(crate) fn as_user(user: &User, command: &str) -> String {
    let Some(name) = user.name.as_ref().filter(|_| !user.logs_in) else {
        return command.to_owned();
    };
    if command.contains(['|', '>', '<', ';', '$', '&']) {
        format!("sudo -u {name} sh -c {}", word(command))
    } else {
        format!("sudo -u {name} {command}")
    }
}

/// A command that only root may run.
pub(crate) fn as_root(user: &User, command: &str) -> String {
    if user.uid == 0 {
        command.to_owned()
    } else {
        format!("sudo {command}")
    }
}

/// A text in which each block of commands stands once: where the same would come again, that is said.
pub(crate) fn each_block_once(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut blocks: Vec<String> = Vec::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        shown.push_str(line);
        let mut block = String::new();
        while line.ends_with(":\n")
            && let Some(command) = lines.next_if(|line| line.starts_with("    "))
        {
            block.push_str(command);
        }
        if !block.is_empty()
            && blocks
                .iter()
                .any(|known| known.trim_end() == block.trim_end())
        {
            shown.truncate(shown.len() - ":\n".len());
            shown.push_str(", as above\n");
        } else {
            shown.push_str(&block);
            blocks.push(block);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_commands_stands_once() {
        assert_eq!(
            each_block_once(
                "do:\n    a\n    b\n\ngit said:\n  x\n\nalso do:\n    a\nand do:\n    a\n    b"
            ),
            "do:\n    a\n    b\n\ngit said:\n  x\n\nalso do:\n    a\nand do, as above\n"
        );
    }

    #[test]
    fn a_word_is_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/c'd")), "'/a b/c'\\''d'");
        assert_eq!(
            word("a\nb 'ä%"),
            "\"$(printf 'a\\012b \\047\\303\\244\\045')\""
        );
    }

    #[test]
    fn a_command_is_printed_for_whoever_can_type_it() {
        #[track_caller]
        fn check(logs_in: bool, command: &str, expected: &str) {
            let user = User {
                uid: 33,
                name: Some("www-data".into()),
                home: None,
                logs_in,
            };
            assert_eq!(as_user(&user, command), expected);
        }
        check(true, "git status", "git status");
        check(false, "git status", "sudo -u www-data git status");
        check(false, "a | b", "sudo -u www-data sh -c 'a | b'");
    }
}
