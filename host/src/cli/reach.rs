//! Which host a command talks to, and by which right.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    client::{Client, ClientError, Trust},
    error::CliError,
    say,
};
use crate::{
    config::{self, Config, Tls},
    tokens::admin_token_path,
};

/// Carries the token, if no file does.
const TOKEN_VARIABLE: &str = "LONGSHORE_TOKEN";

/// How to reach the host.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which host")]
pub(super) struct Reach {
    /// The host's address. By default the one that the configuration names.
    #[arg(long, env = "LONGSHORE_URL", hide_env_values = true, value_name = "URL")]
    url: Option<String>,
    /// File with the token. By default `LONGSHORE_TOKEN`, else the admin token that the host of this
    /// configuration has written into its state directory.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Reach {
    /// A client for that host.
    pub(super) fn client(&self, config: Option<&Path>) -> Result<Client, CliError> {
        let given = self.given_token()?;
        // With both there is nothing left to look up: the command works where there is no
        // configuration, or one that only the host may read.
        let config = match (&self.url, &given, config) {
            (Some(_), Some(_), None) => None,
            (_, _, path) => found(path)?,
        };
        let url = match (&self.url, &config) {
            (Some(url), _) => checked(url)?,
            (None, Some(config)) => own_url(config),
            (None, None) => {
                return Err(CliError::NoConfiguration { otherwise: "the host with --url" });
            }
        };
        let token = match (given, &config) {
            (Some(token), _) => token,
            (None, Some(config)) if self.url.is_none() || is_own(&url, config) => {
                admin_token(&config.state_dir)?
            }
            // The admin token of this machine's host is nobody else's to see.
            (None, _) => return Err(ClientError::NoToken { url }.into()),
        };
        let own = config.filter(|_| self.url.is_none());
        let trust = trust(&url, own.and_then(|config| config.server.tls));
        Ok(Client::new(url, &token, &trust)?)
    }

    /// Whether the command line or the environment names a host.
    pub(super) fn is_named(&self) -> bool {
        self.url.is_some()
    }

    /// The token that the command line or the environment gives.
    fn given_token(&self) -> Result<Option<String>, CliError> {
        if let Some(path) = &self.token_file {
            return read_token(path).map(Some);
        }
        match std::env::var(TOKEN_VARIABLE) {
            Ok(token) if !token.trim().is_empty() => Ok(Some(token.trim().to_owned())),
            _ => Ok(None),
        }
    }
}

/// The configuration: the named one, else the one in the current directory.
pub(super) fn load(config: Option<&Path>) -> Result<Config, CliError> {
    found(config)?.ok_or(CliError::NoConfiguration { otherwise: "go to its directory" })
}

/// The configuration, if there is one. A named file must be there.
pub(super) fn found(config: Option<&Path>) -> Result<Option<Config>, CliError> {
    let default = Path::new(config::DEFAULT_PATH);
    match config {
        Some(path) => Ok(Some(Config::load(path)?)),
        None if default.exists() => Ok(Some(Config::load(default)?)),
        None => Ok(None),
    }
}

/// Where the host of that configuration is reached from its own machine.
pub(super) fn own_url(config: &Config) -> String {
    let server = &config.server;
    match (&server.public_url, &server.tls) {
        // A certificate names the host, not its loopback address.
        (Some(url), Some(_)) => url.trim_end_matches('/').to_owned(),
        (None, Some(_)) => format!("https://{}", connectable(server.listen)),
        (_, None) => format!("http://{}", connectable(server.listen)),
    }
}

/// What listens everywhere is reached here.
fn connectable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Whom to believe that it is the host. `own` is the certificate that the configuration gives it.
fn trust(url: &str, own: Option<Tls>) -> Trust {
    match own {
        // A certificate guards the way there, and here is none: whoever could listen in its place could
        // do so without TLS, too. It may well be a self-signed one, or name another address.
        _ if is_loopback(url) => Trust::Anybody,
        // It need not be signed by anybody that the system knows.
        Some(tls) => Trust::Certificate(tls.cert),
        None => Trust::System,
    }
}

/// Whether that address is this machine's own, or the one by which the configuration's host is known.
fn is_own(url: &str, config: &Config) -> bool {
    let known = config.server.public_url.as_deref().map(|url| url.trim_end_matches('/'));
    url == own_url(config) || known == Some(url) || is_loopback(url)
}

/// Whether nothing that is sent there leaves the machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<axum::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn checked(url: &str) -> Result<String, CliError> {
    let trimmed = url.trim_end_matches('/');
    let uri = trimmed.parse::<axum::http::Uri>().ok();
    let plain = uri.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.query().is_none()
            // `http://name:password@host`: a password would be ignored, and end in messages.
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if plain {
        return Ok(trimmed.to_owned());
    }
    Err(CliError::Input {
        what: "--url".to_owned(),
        message: format!("expected an address such as `http://127.0.0.1:7878`, got `{url}`"),
    })
}

fn admin_token(state_dir: &Path) -> Result<String, CliError> {
    let path = admin_token_path(state_dir);
    match fs::read_to_string(&path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            Err(ClientError::NoAdminToken { path }.into())
        }
        Err(source) => Err(ClientError::AdminToken { path, source }.into()),
    }
}

fn read_token(path: &Path) -> Result<String, CliError> {
    let unreadable =
        |source| CliError::Unreadable { what: "the token file", path: path.to_owned(), source };
    let token = fs::read_to_string(path).map_err(unreadable)?.trim().to_owned();
    let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
    // Said and not refused: a container mounts its secrets like this, with nobody else in it.
    if mode & 0o077 != 0 {
        let path = path.display();
        say::warning(format!("others can read the token file `{path}`; `chmod 600 {path}`"));
    }
    if token.is_empty() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidData, "it is empty")));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let local = "[executors.local]\n[jobs.a]\ncommand = [\"true\"]\n";
        Config::from_toml(&format!("{text}\n{local}"), Path::new("/etc/longshore.toml"))
            .unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    #[test]
    fn a_host_that_listens_everywhere_is_reached_here() {
        let everywhere = "[server]\nlisten = \"0.0.0.0:7878\"\nbehind_tls_proxy = true\n\
             [[tokens]]\nname = \"a\"\nrole = \"admin\"\nfile = \"/a\"\n";
        assert_eq!(own_url(&config(everywhere)), "http://127.0.0.1:7878");
        assert_eq!(own_url(&config("")), "http://127.0.0.1:7878");
    }

    #[test]
    fn the_admin_token_goes_to_its_own_host_only() {
        let config = config("[server]\npublic_url = \"https://jobs.example.org/\"\n");
        for own in [
            "http://127.0.0.1:7878",
            "http://localhost:1",
            "http://[::1]:1",
            "https://jobs.example.org",
        ] {
            assert!(is_own(own, &config), "{own}");
        }
        for other in ["http://10.0.0.1:7878", "https://example.org", "http://127.0.0.1.example.org"]
        {
            assert!(!is_own(other, &config), "{other}");
        }
    }

    #[test]
    fn a_certificate_counts_wherever_there_is_a_way_to_guard() {
        let own = || Some(Tls { cert: "cert.pem".into(), key: "key.pem".into() });
        assert!(matches!(trust("https://jobs.example.org", None), Trust::System));
        assert!(matches!(trust("https://10.0.0.1:7878", own()), Trust::Certificate(_)));
        assert!(matches!(trust("https://127.0.0.1:7878", own()), Trust::Anybody));
    }

    #[test]
    fn an_address_has_a_scheme_and_no_password() {
        assert_eq!(checked("http://127.0.0.1:7878/").unwrap(), "http://127.0.0.1:7878");
        for wrong in ["127.0.0.1:7878", "ftp://a", "http://a:b@c", "http://", "http://a/?b"] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
