//! The completions, a small script for each shell: what `clap_complete` makes does not know the words behind a site file,
//! and in bash no command with a hyphen.

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{Arg, Command, ValueHint};

/// For the program, and for site files of the usual name.
const COMMANDS: [&str; 2] = ["deploy-cgi", "deploy.cgi"];

/// What a shell completes where a word is a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// There is none.
    None,
    Folder,
    File,
    Verb,
    /// Nobody knows it.
    Other,
}

impl Value {
    fn of(arg: &Arg) -> Self {
        match arg.get_value_hint() {
            _ if !arg.get_action().takes_values() => Self::None,
            ValueHint::DirPath => Self::Folder,
            ValueHint::FilePath => Self::File,
            _ => Self::Other,
        }
    }
}

struct Flag {
    /// Such as `-n` and `--repo`.
    names: Vec<String>,
    about: String,
    value: Value,
}

struct Verb {
    name: String,
    about: String,
    flags: Vec<Flag>,
    /// What stands behind it.
    value: Value,
}

impl Verb {
    fn of(command: &Command) -> Self {
        let positional = command.get_positionals().next();
        Self {
            name: command.get_name().to_owned(),
            about: plain(command.get_about()),
            flags: command
                .get_opts()
                .chain(flags_of(command))
                .map(Flag::of)
                .collect(),
            value: match command.get_name() {
                "help" => Value::Verb,
                _ => positional.map_or(Value::None, Value::of),
            },
        }
    }
}

impl Flag {
    fn of(arg: &Arg) -> Self {
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        Self {
            names: short.into_iter().chain(long).collect(),
            about: plain(arg.get_help()),
            value: Value::of(arg),
        }
    }
}

fn flags_of(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_flag = |arg: &&Arg| !arg.is_positional() && !arg.get_action().takes_values();
    command.get_arguments().filter(is_flag)
}

fn plain(text: Option<&StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The verbs, and what stands in the place of one.
fn verbs(command: &Command) -> (Vec<Verb>, Verb) {
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    (verbs.map(Verb::of).collect(), Verb::of(command))
}

fn joined(words: impl IntoIterator<Item = impl AsRef<str>>, between: &str) -> String {
    let words: Vec<_> = words
        .into_iter()
        .map(|word| word.as_ref().to_owned())
        .collect();
    words.join(between)
}

/// Where readline is not to complete paths.
const NO_PATHS: &str = "compopt +o default";

/// For bash and its bash-completion, which has a file for each command.
pub(crate) fn bash(command: &Command) -> String {
    let (verbs, top) = verbs(command);
    let names = verbs.iter().map(|verb| &verb.name);
    let (mut values, mut words) = (String::new(), String::new());
    for verb in &verbs {
        for flag in &verb.flags {
            let does = match flag.value {
                Value::None => continue,
                Value::Folder => "compopt -o dirnames",
                Value::File | Value::Verb => ":",
                Value::Other => NO_PATHS,
            };
            let names = flag
                .names
                .iter()
                .map(|name| format!("{},{name}", verb.name));
            let _ = writeln!(
                values,
                "        {}) {does}; return ;;",
                joined(names, " | ")
            );
        }
    }
    for verb in verbs.iter().chain([&top]) {
        let flags = joined(verb.flags.iter().flat_map(|flag| &flag.names), " ");
        let is_top = verb.name == top.name;
        let case = if is_top { "''" } else { &verb.name };
        let behind = if is_top || verb.value == Value::Verb {
            format!("words='{}'", joined(names.clone(), " "))
        } else if matches!(verb.value, Value::File | Value::Folder) {
            "words=''".to_owned()
        } else {
            NO_PATHS.to_owned()
        };
        let _ = writeln!(words, "        {case}) flags='{flags}'; {behind} ;;");
    }
    format!(
        r#"# Completions of {commands} for bash. Where there are no words, readline completes paths.
_deploy_cgi() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} verb='' flags='' words='' i
    COMPREPLY=()
    # Readline takes --option=value for three words.
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
            {names})
                verb=${{COMP_WORDS[i]}}
                break
                ;;
        esac
    done
    case $verb,$prev in
{values}    esac
    case $verb in
{words}    esac
    if [[ $cur == -* ]]; then
        words=$flags
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -o default -F _deploy_cgi {commands}
# bash-completion loads this file at the first TAB, and bash then looks for the command as it was typed.
if [[ ${{COMP_WORDS[0]-}} == */* ]]; then
    complete -o default -F _deploy_cgi -- "${{COMP_WORDS[0]}}"
fi
"#,
        commands = COMMANDS.join(" "),
        names = joined(names.clone(), " | "),
    )
}

/// In single quotes, for zsh or fish.
fn quoted(text: &str, quote: &str) -> String {
    format!("'{}'", text.replace('\'', quote))
}

/// For zsh, which looks for its functions by the first line of each file.
pub(crate) fn zsh(command: &Command) -> String {
    let (verbs, top) = verbs(command);
    let quoted = |text: String| quoted(&text, r"'\''");
    // A colon ends a name, a bracket an explanation.
    let about = |text: &str| {
        text.replace(':', r"\:")
            .replace('[', r"\[")
            .replace(']', r"\]")
    };
    let value = |value: Value| match value {
        Value::None => "",
        Value::Folder => ":folder:_files -/",
        Value::File => ":file:_files",
        Value::Verb => ":verb:_deploy_cgi_verbs",
        Value::Other => ":value:()",
    };
    let flags = |verb: &Verb| {
        let mut lines = String::new();
        for flag in &verb.flags {
            let others = joined(&flag.names, " ");
            for name in &flag.names {
                let with = if flag.value != Value::None && name.starts_with("--") {
                    "="
                } else {
                    ""
                };
                let spec = format!(
                    "({others}){name}{with}[{}]{}",
                    about(&flag.about),
                    value(flag.value)
                );
                let _ = write!(lines, " \\\n                {}", quoted(spec));
            }
        }
        if verb.value != Value::None {
            let _ = write!(
                lines,
                " \\\n                {}",
                quoted(format!("1:{}", value(verb.value)))
            );
        }
        lines
    };
    let cases = verbs.iter().map(|verb| {
        format!(
            "        ({})\n            _arguments{}\n            ;;\n",
            verb.name,
            flags(verb)
        )
    });
    let described = verbs.iter().map(|verb| {
        let line = format!("{}:{}", verb.name, about(&verb.about));
        format!("        {}\n", quoted(line))
    });
    format!(
        r#"#compdef {commands}
# Completions of {commands} for zsh.

_deploy_cgi_verbs() {{
    local -a verbs=(
{described}    )
    _describe verb verbs
}}

# The verb, or before it the site file.
_deploy_cgi_first() {{
    if [[ $words[1] == *.cgi ]]; then
        _deploy_cgi_verbs
        return
    fi
    _alternative 'verbs:verb:_deploy_cgi_verbs' 'files:site file:_files'
}}

_deploy_cgi() {{
    local i verb
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
            ({names})
                verb=$words[i]
                break
                ;;
        esac
    done
    if [[ -n $verb ]]; then
        shift $((i - 1)) words
        ((CURRENT -= i - 1))
    fi
    case $verb in
{cases}        (*)
            _arguments{top} \
                '1: :_deploy_cgi_first' '2: :_deploy_cgi_verbs'
            ;;
    esac
}}

_deploy_cgi "$@"
"#,
        commands = COMMANDS.join(" "),
        described = described.collect::<String>(),
        names = joined(verbs.iter().map(|verb| &verb.name), "|"),
        cases = cases.collect::<String>(),
        top = flags(&top),
    )
}

/// For site files in fish, which looks only for completions of commands on the PATH: as if the program was typed with the
/// site file behind it. A file of fish's conf.d, and the end of the program's own.
pub(crate) const FISH_FOR_SITE_FILES: &str = r#"# Completions of deploy.cgi for fish.
complete -c deploy.cgi -f -a "(complete -C (string join -- ' ' deploy-cgi deploy.cgi (string escape -- (commandline -opc)[2..-1]) (commandline -ct)))"
"#;

/// For fish.
pub(crate) fn fish(command: &Command) -> String {
    let (verbs, top) = verbs(command);
    let quoted = |text: &str| quoted(text, r"\'");
    let mut lines = String::new();
    let mut complete = |when: &str, what: String| {
        let _ = writeln!(lines, "complete -c deploy-cgi -n {} {what}", quoted(when));
    };
    let none = "not __deploy_cgi_verb >/dev/null";
    let behind_a_site = format!("{none}; and test (count (commandline -opc)) -gt 1");
    complete(&behind_a_site, "-f".to_owned());
    for verb in &verbs {
        let what = format!("-a {} -d {}", verb.name, quoted(&verb.about));
        complete(none, what.clone());
        complete("contains help (__deploy_cgi_verb)", format!("-f {what}"));
    }
    for verb in verbs.iter().chain([&top]) {
        let behind = format!("contains {} (__deploy_cgi_verb)", verb.name);
        let when = if verb.name == top.name { none } else { &behind };
        if matches!(verb.value, Value::None | Value::Other) && verb.name != top.name {
            complete(when, "-f".to_owned());
        }
        for flag in &verb.flags {
            let names = flag.names.iter().map(|name| match name.strip_prefix("--") {
                Some(long) => format!("-l {long}"),
                None => format!("-s {}", name.trim_start_matches('-')),
            });
            let value = match flag.value {
                Value::None => "",
                Value::Folder => " -x -a '(__fish_complete_directories)'",
                Value::File | Value::Verb => " -r -F",
                Value::Other => " -x",
            };
            complete(
                when,
                format!("{}{value} -d {}", joined(names, " "), quoted(&flag.about)),
            );
        }
    }
    format!(
        "# Completions of deploy-cgi for fish.\n\
         function __deploy_cgi_verb\n    \
             for word in (commandline -opc)[2..-1]\n        \
                 if contains -- $word {names}\n            \
                     echo $word\n            \
                     return\n        \
                 end\n    \
             end\n    \
             return 1\n\
         end\n{lines}\n{FISH_FOR_SITE_FILES}",
        names = joined(verbs.iter().map(|verb| &verb.name), " "),
    )
}
