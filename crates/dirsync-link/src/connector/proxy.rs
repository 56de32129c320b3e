//! Which proxy a request goes through.

use dirsync_directory::excerpt;
use thiserror::Error;
use ureq::http::Uri;

/// The variables that name a proxy for `https`, as `curl` reads them: the first one that is not empty.
const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// The variables that name the hosts for which there is no proxy.
const BYPASS_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// How the settings name the way to the server.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum ProxyChoice {
    /// The environment variables `https_proxy` or `all_proxy`, and `no_proxy` with hosts to reach directly, in small or
    /// capital letters.
    #[default]
    Environment,
    /// Directly, whatever the environment says.
    Direct,
    /// A proxy that knows CONNECT, such as `http://proxy.example:3128` or `http://user:password@proxy.example:3128`.
    Url(String),
}

/// The proxy cannot be used. The text never shows its password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// The text is not a URL.
    #[error("the proxy in {0} is not a URL: it looks like http://proxy.example:3128")]
    NotAUrl(String),
    /// The proxy is of another kind.
    #[error("the proxy in {from} is reached by \"{}\": only http:// is possible", excerpt(.scheme))]
    Scheme {
        /// What named it: the settings, or an environment variable.
        from: String,
        /// How it is reached.
        scheme: String,
    },
}

/// A proxy and the hosts that it is not for.
#[derive(Debug, Default)]
pub(super) struct Proxy {
    pub(super) proxy: Option<ureq::Proxy>,
    pub(super) bypass: Bypass,
}

/// Never shows a password.
impl std::fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::Url(_) => "Url(…)",
        })
    }
}

impl ProxyChoice {
    pub(super) fn find(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Proxy, ProxyError> {
        let first = |names: &[&str]| {
            let set = |name: &&str| {
                Some(((*name).to_owned(), variable(name).filter(|value| !value.is_empty())?))
            };
            names.iter().find_map(set)
        };
        match self {
            Self::Direct => Ok(Proxy::default()),
            Self::Url(url) => {
                Ok(Proxy { proxy: Some(read(url, "the settings")?), ..Proxy::default() })
            }
            Self::Environment => {
                let Some((name, url)) = first(&PROXY_VARIABLES) else {
                    return Ok(Proxy::default());
                };
                let proxy = read(&url, &format!("the environment variable {name}"))?;
                let bypass = first(&BYPASS_VARIABLES)
                    .map_or_else(Bypass::default, |(_, list)| Bypass::new(&list));
                Ok(Proxy { proxy: Some(proxy), bypass })
            }
        }
    }
}

fn read(url: &str, from: &str) -> Result<ureq::Proxy, ProxyError> {
    let not_a_url = || ProxyError::NotAUrl(from.to_owned());
    let uri: Uri = url.parse().map_err(|_| not_a_url())?;
    // A host with a port and nothing else is a proxy, too.
    let scheme = uri.scheme_str().unwrap_or("http");
    if scheme != "http" {
        return Err(ProxyError::Scheme { from: from.to_owned(), scheme: format!("{scheme}://") });
    }
    match ureq::Proxy::new(url) {
        Ok(proxy) if !proxy.host().is_empty() => Ok(proxy),
        _ => Err(not_a_url()),
    }
}

/// Hosts that are reached directly, as `curl` reads `no_proxy`: names and addresses with commas or spaces between. A
/// name is also for all names below it, and `*` is for every host.
#[derive(Debug, Default)]
pub(super) struct Bypass(Vec<String>);

impl Bypass {
    fn new(list: &str) -> Self {
        let entries = list
            .split([',', ' '])
            .map(|entry| bare(entry.trim_start_matches("*.").trim_start_matches('.')));
        Self(entries.filter(|entry| !entry.is_empty()).collect())
    }

    pub(super) fn matches(&self, host: &str) -> bool {
        let host = bare(host);
        self.0.iter().any(|entry| {
            entry == "*"
                || host
                    .strip_suffix(entry.as_str())
                    .is_some_and(|above| matches!(above.chars().last(), None | Some('.')))
        })
    }
}

/// In small letters, without the brackets of an IPv6 address and the dot at the end of a full name.
fn bare(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(choice: &ProxyChoice, variables: &[(&str, &str)]) -> Result<Proxy, ProxyError> {
        choice.find(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn host(variables: &[(&str, &str)]) -> Option<String> {
        find(&ProxyChoice::Environment, variables)
            .unwrap()
            .proxy
            .map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        assert_eq!(host(&[]), None);
        assert_eq!(host(&[("HTTP_PROXY", "http://a:1")]), None);
        assert_eq!(host(&[("https_proxy", "")]), None);
        assert_eq!(
            host(&[("https_proxy", ""), ("ALL_PROXY", "http://a:1")]).unwrap(),
            "http://a:1/"
        );
        let both = [("ALL_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://b:2")];
        assert_eq!(host(&both).unwrap(), "http://b:2/");
        assert_eq!(
            host(&[("HTTPS_PROXY", "proxy.example:3128")]).unwrap(),
            "http://proxy.example:3128/"
        );
    }

    #[test]
    fn the_settings_go_before_the_environment() {
        let variables = [("https_proxy", "http://a:1"), ("no_proxy", "*")];
        assert!(find(&ProxyChoice::Direct, &variables).unwrap().proxy.is_none());
        let proxy = find(&ProxyChoice::Url("http://b:2".to_owned()), &variables).unwrap();
        assert_eq!(proxy.proxy.unwrap().host(), "b");
        assert!(!proxy.bypass.matches("hq.example"));
    }

    #[test]
    fn proxies_that_cannot_be_used_are_named_without_their_password() {
        let error =
            |url: &str| find(&ProxyChoice::Url(url.to_owned()), &[]).unwrap_err().to_string();
        assert_eq!(
            error("http://user:secret@"),
            "the proxy in the settings is not a URL: it looks like http://proxy.example:3128"
        );
        assert_eq!(
            error("socks5://user:secret@proxy.example"),
            "the proxy in the settings is reached by \"socks5://\": only http:// is possible"
        );
        assert_eq!(
            error("https://proxy.example"),
            "the proxy in the settings is reached by \"https://\": only http:// is possible"
        );
        assert_eq!(
            find(&ProxyChoice::Environment, &[("ALL_PROXY", "no url")]).unwrap_err().to_string(),
            "the proxy in the environment variable ALL_PROXY is not a URL: it looks like http://proxy.example:3128"
        );
        let choice = ProxyChoice::Url("http://user:secret@proxy.example".to_owned());
        assert_eq!(format!("{choice:?}"), "Url(…)");
        let proxy = choice.find(|_| None).unwrap();
        assert!(!format!("{proxy:?}").contains("secret"), "{proxy:?}");
    }

    #[test]
    fn hosts_without_a_proxy_are_named_as_for_curl() {
        let bypass =
            Bypass::new("localhost, .north.example,*.south.example 10.0.0.1,[::1],EAST.example.");
        for host in [
            "localhost",
            "north.example",
            "hq.NORTH.example",
            "a.south.example",
            "10.0.0.1",
            "[::1]",
            "east.example",
        ] {
            assert!(bypass.matches(host), "{host}");
        }
        for host in ["hq.example", "innorth.example", "110.0.0.1", "10.0.0.12", "example"] {
            assert!(!bypass.matches(host), "{host}");
        }
        assert!(Bypass::new("*").matches("hq.example"));
        assert!(!Bypass::new(" , ").matches("hq.example"));
    }
}
