//! Where the statuses of a commit are posted: never to a host that neither the site nor its remote names.

use crate::commit_id::CommitId;
use crate::queue::Origin;
use crate::remote_url::RemoteUrl;
use crate::site::Site;
use crate::web_address::WebAddress;

/// GitHub's own API.
const GITHUB: &str = "https://api.github.com";
const GITHUB_HOST: &str = "api.github.com";

/// The address for a commit that a delivery named. The repository is the site's, as it is for what is deployed. `None` where
/// nothing says where its statuses belong.
pub(crate) fn address_of(
    commit: &CommitId,
    origin: Option<&Origin>,
    remote: Option<&RemoteUrl>,
    site: &Site,
) -> Option<WebAddress> {
    let of_delivery = origin.and_then(|origin| origin.repository.as_ref());
    let of_remote = remote.and_then(RemoteUrl::repository);
    let repository = site.repository.as_ref().or(of_remote).or(of_delivery)?;
    let set = site.github.as_ref()?.api.clone();
    let named = || {
        let api = origin.and_then(|origin| origin.api.clone())?;
        is_expected(&api, remote).then_some(api)
    };
    let known = || {
        let is_github = remote.is_some_and(RemoteUrl::is_github);
        is_github.then(|| WebAddress::parse(GITHUB))?
    };
    set.or_else(named).or_else(known)?.below([
        "repos",
        repository.owner(),
        repository.name(),
        "statuses",
        commit.as_str(),
    ])
}

/// Whether the token may go to the API that a delivery names: at GitHub, or at the remote's own host. GitHub's customers with
/// a domain of their own (`octocorp.ghe.com`) have it at `api.` of that.
fn is_expected(api: &WebAddress, remote: Option<&RemoteUrl>) -> bool {
    let host = remote.and_then(RemoteUrl::host);
    api.is_at(GITHUB_HOST)
        || host.is_some_and(|host| api.is_at(host) || api.is_at(&format!("api.{host}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgi::Environment;
    use crate::repository_name::RepositoryName;

    const COMMIT: &str = "1481a2de7b2a7d02428ad93446ab166be7793fbb";

    fn site(keys: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deploy.cgi");
        let needed = "repo = \"/r\"\nsecret_file = \"/s\"\ngithub_token_file = \"/t\"";
        std::fs::write(&file, format!("{needed}\n{keys}\n")).unwrap();
        Site::read(&file, &Environment::default()).unwrap()
    }

    #[track_caller]
    fn check(keys: &str, remote: &str, api: &str, expected: &str) {
        let origin = Origin {
            repository: RepositoryName::parse("Of/Delivery"),
            api: WebAddress::parse(api),
            page: None,
        };
        let found = address_of(
            &CommitId::parse(COMMIT).unwrap(),
            Some(&origin),
            Some(&RemoteUrl::parse(remote)),
            &site(keys),
        );
        let found = found.map(|address| address.to_string());
        let expected = expected.replace("SHA", COMMIT);
        assert_eq!(found.as_deref().unwrap_or("-"), expected);
    }

    #[test]
    fn a_status_goes_where_the_site_or_its_remote_says() {
        for (remote, api, expected) in [
            (
                "https://github.com/me/site",
                "",
                "https://api.github.com/repos/me/site/statuses/SHA",
            ),
            (
                "git@ssh.github.com:me/site",
                "",
                "https://api.github.com/repos/me/site/statuses/SHA",
            ),
            (
                "git@github.example:me/site.git",
                "https://github.example/api/v3",
                "https://github.example/api/v3/repos/me/site/statuses/SHA",
            ),
            (
                "git@octocorp.ghe.com:me/site.git",
                "https://api.octocorp.ghe.com",
                "https://api.octocorp.ghe.com/repos/me/site/statuses/SHA",
            ),
            // An alias of ssh's configuration.
            (
                "work:me/site.git",
                "https://api.github.com",
                "https://api.github.com/repos/me/site/statuses/SHA",
            ),
            (
                "/srv/site.git",
                "https://api.github.com",
                "https://api.github.com/repos/Of/Delivery/statuses/SHA",
            ),
            // What a delivery names counts only at these hosts.
            (
                "https://github.com/me/site",
                "https://evil.example",
                "https://api.github.com/repos/me/site/statuses/SHA",
            ),
            ("git@github.example:me/site", "https://evil.example", "-"),
            (
                "git@github.example:me/site",
                "https://github.example.evil.example",
                "-",
            ),
            ("/srv/site.git", "https://evil.example", "-"),
            ("work:me/site.git", "", "-"),
            ("https://github.com/me/..", "", "-"),
        ] {
            check("", remote, api, expected);
        }
        let keys = "github_api = \"https://github.example/api/v3/\"\nrepository = \"new/name\"";
        check(
            keys,
            "https://github.com/me/site",
            "https://api.github.com",
            "https://github.example/api/v3/repos/new/name/statuses/SHA",
        );
    }
}
