//! Every key of a site file, with what is accepted for it: a flat table.

/// The keys a site file may have, in the order of deploy.cgi.example, and what each has to be.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("repo", "the absolute path of the checkout"),
    (
        "secret_file",
        "the absolute path of the file with the secret",
    ),
    ("branch", "the name of a branch, such as \"main\""),
    ("repository", "\"owner/name\""),
    ("update", "\"fast-forward\" or \"reset\""),
    ("submodules", "\"recorded\", \"latest\" or \"skip\""),
    ("on_update", "a shell command"),
    ("on_failure", "a shell command"),
    ("clone", "the URL of the repository"),
    ("ssh_key", "the absolute path of a private key"),
    (
        "ssh_keys",
        "a table, such as ssh_keys = { \"me/posts\" = \"/home/me/.ssh/posts\" }",
    ),
    (
        "workflow",
        "the file of a workflow, such as \".github/workflows/ci.yml\"",
    ),
    (
        "only",
        "a list of patterns below the checkout, such as [\"site/**\"]",
    ),
    ("live", "an https address, such as \"https://example.org/\""),
    ("live_text", "a text that the page `live` has"),
    (
        "github_token_file",
        "the absolute path of the file with the token",
    ),
    (
        "github_context",
        "up to 100 letters without a line end, such as \"deploy/example.org\"",
    ),
    (
        "github_api",
        "an https address, such as \"https://github.example.org/api/v3\"",
    ),
    ("wait", "a time from \"0s\" to \"30s\", such as \"8s\""),
    ("timeout", "a time from \"1s\" to \"24h\", such as \"10m\""),
    (
        "max_body",
        "a size from \"1KiB\" to \"64MiB\", such as \"25MiB\"",
    ),
    (
        "path",
        "folders like those of PATH, absolute, with colons between them",
    ),
    ("env", "a table, such as env = { NAME = \"value\" }"),
    (
        "umask",
        "an octal number that leaves the owner everything, such as \"022\"",
    ),
    ("status_page", "true, false or \"secret-link\""),
];

/// What a key has to be.
pub(super) fn accepted(key: &str) -> Option<&'static str> {
    let known = KEYS.iter().find(|(name, _)| *name == key);
    known.map(|(_, accepted)| *accepted)
}
