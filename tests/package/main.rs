//! The packages, as whoever downloads them gets them. All ignored: they need two release builds, and `./tests/run` runs
//! them.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may start programs, read its own environment, and must stop at the first surprise"
)]

mod shells;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;

/// A program on a slow disk takes as long as it is large.
const MAX_BYTES: u64 = 3_100_000;

const SECRET: &str = "a secret that only this test knows";

const BODY: &str = r#"{"zen":"Keep it logically awesome.","hook_id":1,"hook":{"events":["push"]}}"#;

/// What the archive holds, each with its permissions.
const FILES: &[(&str, u32)] = &[
    ("CHANGELOG.md", 0o644),
    ("LICENSE", 0o644),
    ("LICENSE-THIRD-PARTY", 0o644),
    ("README.md", 0o644),
    ("completions/_deploy-cgi", 0o644),
    ("completions/deploy-cgi.bash", 0o644),
    ("completions/deploy-cgi.fish", 0o644),
    ("completions/deploy.cgi.fish", 0o644),
    ("deploy-cgi", 0o755),
    ("deploy-cgi.1", 0o644),
    ("deploy.cgi.5", 0o644),
    ("deploy.cgi.example", 0o644),
    ("deploy.php", 0o644),
];

/// Where the .deb puts what the archive has, each with its permissions. man pages are compressed.
const INSTALLED: &[(&str, &str, u32)] = &[
    ("usr/bin/deploy-cgi", "deploy-cgi", 0o755),
    (
        "usr/share/bash-completion/completions/deploy-cgi",
        "completions/deploy-cgi.bash",
        0o644,
    ),
    (
        "usr/share/bash-completion/completions/deploy.cgi",
        "completions/deploy-cgi.bash",
        0o644,
    ),
    (
        "usr/share/doc/deploy-cgi/LICENSE-THIRD-PARTY",
        "LICENSE-THIRD-PARTY",
        0o644,
    ),
    ("usr/share/doc/deploy-cgi/README.md", "README.md", 0o644),
    ("usr/share/doc/deploy-cgi/changelog.gz", "", 0o644),
    ("usr/share/doc/deploy-cgi/copyright", "", 0o644),
    (
        "usr/share/doc/deploy-cgi/deploy.cgi.example",
        "deploy.cgi.example",
        0o644,
    ),
    ("usr/share/doc/deploy-cgi/deploy.php", "deploy.php", 0o644),
    (
        "usr/share/fish/vendor_completions.d/deploy-cgi.fish",
        "completions/deploy-cgi.fish",
        0o644,
    ),
    (
        "usr/share/fish/vendor_conf.d/deploy.cgi.fish",
        "completions/deploy.cgi.fish",
        0o644,
    ),
    ("usr/share/lintian/overrides/deploy-cgi", "", 0o644),
    ("usr/share/man/man1/deploy-cgi.1.gz", "", 0o644),
    ("usr/share/man/man5/deploy.cgi.5.gz", "", 0o644),
    (
        "usr/share/zsh/vendor-completions/_deploy-cgi",
        "completions/_deploy-cgi",
        0o644,
    ),
];

/// What `.ci/package` made of this checkout.
struct Packages {
    /// The archive, unpacked.
    files: PathBuf,
    archive: PathBuf,
    debian: Option<PathBuf>,
    _unpacked: TempDir,
}

impl Packages {
    fn program(&self) -> PathBuf {
        self.files.join("deploy-cgi")
    }
}

static PACKAGES: LazyLock<Packages> = LazyLock::new(|| {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    package(checkout, None);
    let made = checkout.join("target/package");
    let archive = only(&made, ".tar.gz").unwrap();
    let unpacked = TempDir::with_prefix("deploy-cgi-package-").unwrap();
    output(
        Command::new("tar")
            .arg("-xpzf")
            .arg(&archive)
            .arg("-C")
            .arg(unpacked.path()),
    );
    let name = archive.file_name().unwrap().to_str().unwrap();
    Packages {
        files: unpacked.path().join(name.strip_suffix(".tar.gz").unwrap()),
        debian: only(&made, ".deb"),
        archive,
        _unpacked: unpacked,
    }
});

/// Runs `.ci/package` in this checkout or a copy of it, and builds the release in a folder of its own.
#[track_caller]
fn package(checkout: &Path, build: Option<&Path>) {
    let epoch = output(
        Command::new("git")
            .args(["log", "-1", "--format=%ct"])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    let mut package = Command::new(checkout.join(".ci/package"));
    package
        .args(build)
        .env("SOURCE_DATE_EPOCH", epoch.trim())
        .env("CARGO_TARGET_DIR", target());
    output(without_our_package(&mut package));
}

/// What cargo tells a test about the package under test is not about the one to be built.
fn without_our_package(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        }) {
            command.env_remove(name);
        }
    }
    command
}

/// Where cargo builds here.
fn target() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap().to_owned()
}

/// What a command that has to succeed wrote.
#[track_caller]
fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{command:?}: {}\n{text}{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    text
}

/// Copies an executable, by a child: no other thread can have forked while it was open for writing, which would keep it
/// from being started ("Text file busy").
#[track_caller]
fn install(from: &Path, to: &Path) {
    output(Command::new("install").args(["-m", "755"]).args([from, to]));
}

/// The one file of a folder whose name ends so.
fn only(folder: &Path, end: &str) -> Option<PathBuf> {
    let mut found = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(end));
    let first = found.next();
    assert_eq!(found.next(), None);
    first
}

/// Every file below a folder, with its permissions.
fn files(folder: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.symlink_metadata().unwrap().permissions().mode() & 0o7777;
            if path.is_dir() {
                assert_eq!(mode, 0o755, "{}", path.display());
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), mode);
            }
        }
    }
    found
}

/// The pages in docs.
fn pages() -> Vec<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = files(&docs).into_keys();
    let pages: Vec<_> = pages.map(|page| format!("docs/{page}")).collect();
    assert!(pages.len() > 3, "{pages:?}");
    pages
}

fn signature() -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(BODY.as_bytes());
    let mut shown = String::from("sha256=");
    for byte in mac.finalize().into_bytes() {
        write!(shown, "{byte:02x}").unwrap();
    }
    shown
}

#[test]
#[ignore = "two release builds: ./tests/run"]
fn two_builds_in_two_places_are_byte_equal() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let there = TempDir::with_prefix("deploy-cgi-another-checkout-").unwrap();
    let copy = r#"git ls-files -z --cached --others --exclude-standard | tar -cf - --null -T - | tar -xf - -C "$0""#;
    output(
        Command::new("sh")
            .args(["-c", copy])
            .arg(there.path())
            .current_dir(here),
    );
    // One after the other: they share the program that makes the man page.
    let first = &*PACKAGES;
    package(there.path(), Some(&there.path().join("another folder")));
    for package in [Some(&first.archive), first.debian.as_ref()]
        .into_iter()
        .flatten()
    {
        let name = package.file_name().unwrap();
        let second = there.path().join("target/package").join(name);
        assert!(
            fs::read(package).unwrap() == fs::read(&second).unwrap(),
            "{} and {} differ",
            package.display(),
            second.display()
        );
    }
}

#[test]
#[ignore = "a release build: ./tests/run"]
fn the_archive_holds_what_a_host_needs_and_its_checksum_fits() {
    let expected = FILES.iter().map(|&(name, mode)| (name.to_owned(), mode));
    let pages = pages();
    let expected = expected.chain(pages.iter().map(|page| (page.clone(), 0o644)));
    assert_eq!(files(&PACKAGES.files), expected.collect());
    let copied = ["README.md", "CHANGELOG.md", "LICENSE", "deploy.cgi.example"];
    for name in copied.into_iter().chain(pages.iter().map(String::as_str)) {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        assert!(fs::read(PACKAGES.files.join(name)).unwrap() == fs::read(here).unwrap());
    }
    let listed = output(
        Command::new("tar")
            .args(["--numeric-owner", "-tvzf"])
            .arg(&PACKAGES.archive),
    );
    for line in listed.lines() {
        assert_eq!(line.split_whitespace().nth(1), Some("0/0"), "{line}");
    }
    let folder = PACKAGES.archive.parent().unwrap();
    for package in [Some(&PACKAGES.archive), PACKAGES.debian.as_ref()]
        .into_iter()
        .flatten()
    {
        output(
            Command::new("sha256sum")
                .args(["--check", "--strict"])
                .arg(format!("{}.sha256", package.display()))
                .current_dir(folder),
        );
    }
}

#[test]
#[ignore = "a release build: ./tests/run"]
fn the_program_is_small_static_and_hardened_and_names_no_place_of_its_build() {
    let program = PACKAGES.program();
    let size = fs::metadata(&program).unwrap().len();
    assert!(size <= MAX_BYTES, "{size} bytes");
    let ldd = Command::new("ldd")
        .arg(&program)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let said = [ldd.stdout, ldd.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains("statically linked") || said.contains("not a dynamic executable"),
        "{said}"
    );

    // At another address at each start, and read-only after its relocation.
    let elf = output(Command::new("readelf").args(["-hldW"]).arg(&program));
    for sign in ["Type: DYN (", "GNU_RELRO", "NOW"] {
        let elf = elf.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(elf.contains(sign), "{sign} is not in {elf}");
    }
    assert!(!elf.contains("INTERP"), "{elf}");

    let bytes = fs::read(&program).unwrap();
    let cargo_home = std::env::var("CARGO_HOME")
        .unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap()));
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]));
    for place in [
        env!("CARGO_MANIFEST_DIR"),
        target().to_str().unwrap(),
        &cargo_home,
        sysroot.trim(),
        "registry/src",
    ] {
        assert!(
            !bytes
                .windows(place.len())
                .any(|window| window == place.as_bytes()),
            "{place} is in it"
        );
    }
}

#[test]
#[ignore = "a release build, cargo-deb: ./tests/run"]
fn the_debian_package_puts_every_file_where_debian_has_it() {
    let debian = PACKAGES.debian.as_ref().expect("cargo-deb makes one");
    let field = |name: &str| {
        output(
            Command::new("dpkg-deb")
                .arg("--field")
                .arg(debian)
                .arg(name),
        )
        .trim()
        .to_owned()
    };
    assert_eq!(field("Package"), "deploy-cgi");
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(field("Depends"), "git");
    let root = TempDir::with_prefix("deploy-cgi-debian-").unwrap();
    output(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(debian)
            .arg(root.path().join("root")),
    );
    let root = root.path().join("root");
    let pages = pages().into_iter();
    let pages = pages.map(|page| (format!("usr/share/doc/deploy-cgi/{page}"), 0o644));
    let expected = INSTALLED.iter();
    let expected = expected.map(|&(name, _, mode)| (name.to_owned(), mode));
    assert_eq!(files(&root), expected.chain(pages).collect());
    for &(installed, packed, _) in INSTALLED {
        if !packed.is_empty() {
            assert!(
                fs::read(root.join(installed)).unwrap()
                    == fs::read(PACKAGES.files.join(packed)).unwrap(),
                "{installed} is not {packed}"
            );
        }
    }
}

/// Debian's own checks. What is overridden is that the program is static, with the reason.
#[test]
#[ignore = "a release build, cargo-deb, lintian: ./tests/run"]
fn lintian_finds_no_fault_with_the_debian_package() {
    let debian = PACKAGES.debian.as_ref().expect("cargo-deb makes one");
    let lintian = |words: &[&str]| {
        let mut lintian = Command::new("lintian");
        output(lintian.arg("--allow-root").args(words).arg(debian))
    };
    assert_eq!(lintian(&["--fail-on", "error,warning"]), "");
    let overridden = lintian(&["--fail-on", "none", "--show-overrides"]);
    let tags = overridden.lines().filter(|line| line.starts_with("O: "));
    let tags: Vec<_> = tags.map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(tags, ["shared-library-lacks-prerequisites"], "{overridden}");
}

/// A static program that looks up a name as the C library does would load shared objects, and crash.
#[test]
#[ignore = "a release build, strace: ./tests/run"]
fn a_home_is_looked_up_without_a_library() {
    let folder = TempDir::with_prefix("deploy-cgi-home-").unwrap();
    let site = folder.path().join("deploy.cgi");
    fs::write(
        &site,
        "#!/deploy-cgi\nrepo = \"~/no-such-checkout\"\nsecret_file = \"~/no-such-folder/secret\"\n",
    )
    .unwrap();
    let trace = folder.path().join("trace");
    let done = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=%file", "-o"])
        .arg(&trace)
        .arg(PACKAGES.program())
        .arg(&site)
        .arg("sign")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("/no-such-folder/secret"), "{said}");
    assert!(!said.contains('~'), "{said}");
    let trace = fs::read_to_string(trace).unwrap();
    assert!(trace.contains("\"/etc/passwd\""), "{trace}");
    for line in trace.lines() {
        assert!(
            !line.contains("libnss") && !line.contains(".so") && !line.contains("nsswitch"),
            "{line}"
        );
    }
}

/// A root folder with nothing in it but the program, a site, its secret and an /etc/passwd. Only root can go there.
mod chroot {
    use super::*;

    const ME: u32 = 54_321;

    fn root() -> TempDir {
        let root = TempDir::with_prefix("deploy-cgi-root-").unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["etc", "home/me"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        install(&PACKAGES.program(), &at("deploy-cgi"));
        let mut passwd = fs::read_to_string("/etc/passwd").unwrap();
        writeln!(passwd, "me:x:{ME}:{ME}:Me:/home/me:/bin/sh").unwrap();
        fs::write(at("etc/passwd"), passwd).unwrap();
        fs::write(at("home/me/secret.txt"), format!("{SECRET}\n")).unwrap();
        fs::write(
            at("deploy.cgi"),
            "#!/deploy-cgi\nrepo = \"~/blog\"\nsecret_file = \"~/secret.txt\"\n",
        )
        .unwrap();
        fs::set_permissions(at("deploy.cgi"), fs::Permissions::from_mode(0o755)).unwrap();
        for mine in ["home/me", "home/me/secret.txt"] {
            std::os::unix::fs::chown(at(mine), Some(ME), Some(ME)).unwrap();
        }
        fs::set_permissions(at("home/me/secret.txt"), fs::Permissions::from_mode(0o600)).unwrap();
        root
    }

    fn inside(root: &TempDir, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(format!("--userspec={ME}:{ME}"))
            .arg(root.path())
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    #[test]
    #[ignore = "a release build, root: ./tests/run"]
    fn it_tells_its_version() {
        assert_eq!(
            output(inside(&root(), "/deploy-cgi").arg("--version")),
            concat!("deploy-cgi ", env!("CARGO_PKG_VERSION"), "\n")
        );
    }

    #[test]
    #[ignore = "a release build, root: ./tests/run"]
    fn it_finds_the_home_of_its_user_and_signs_there() {
        let root = root();
        fs::write(root.path().join("body"), BODY).unwrap();
        let signed = inside(&root, "/deploy.cgi")
            .arg("sign")
            .stdin(fs::File::open(root.path().join("body")).unwrap())
            .output()
            .unwrap();
        let headers = String::from_utf8(signed.stdout).unwrap();
        assert!(
            headers.contains(&format!("X-Hub-Signature-256: {}\n", signature())),
            "{headers}{}",
            String::from_utf8_lossy(&signed.stderr)
        );
    }

    /// There is no git and no checkout: the answer to a true signature says so, and the one to a wrong one nothing.
    #[test]
    #[ignore = "a release build, root: ./tests/run"]
    fn it_answers_a_signed_ping_and_refuses_a_forged_one() {
        let root = root();
        fs::write(root.path().join("body"), BODY).unwrap();
        let ask = |signature: &str| {
            let answer = inside(&root, "/deploy.cgi")
                .envs([
                    ("GATEWAY_INTERFACE", "CGI/1.1"),
                    ("SERVER_PROTOCOL", "HTTP/1.1"),
                    ("REQUEST_METHOD", "POST"),
                    ("QUERY_STRING", ""),
                    ("CONTENT_TYPE", "application/json"),
                    ("HTTP_X_GITHUB_EVENT", "ping"),
                    ("HTTP_X_GITHUB_DELIVERY", "by-hand"),
                    ("HTTP_X_HUB_SIGNATURE_256", signature),
                ])
                .env("CONTENT_LENGTH", BODY.len().to_string())
                .stdin(fs::File::open(root.path().join("body")).unwrap())
                .output()
                .unwrap();
            assert_eq!(answer.status.code(), Some(0));
            String::from_utf8(answer.stdout).unwrap()
        };
        let pong = ask(&signature());
        assert!(pong.starts_with("Status: 500 "), "{pong}");
        let (_, body) = pong.split_once("\r\n\r\n").unwrap();
        assert!(body.starts_with("pong"), "{pong}");
        assert!(body.contains("/home/me/blog"), "{pong}");
        let refused = ask(&format!("sha256={:064}", 0));
        assert!(refused.starts_with("Status: 403 "), "{refused}");
        assert!(!refused.contains("/home"), "{refused}");
    }
}
