//! Which pages and names the host answers to. A browser on this machine will send anything that a
//! page asks it to: `Host` says which name the page was loaded from (a rebound name is not ours),
//! `Origin` says whose page it is.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Api,
    error::{ApiError, Code},
};
use crate::config::Server;

/// Whom the host answers.
#[derive(Debug)]
pub(super) struct Door {
    listen: IpAddr,
    /// As configured: a name, or a name and a port, which then must both be right.
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Door {
    /// The door of a host that listens on `listen`, which may differ from what was configured (port 0).
    pub(super) fn new(server: &Server, listen: SocketAddr) -> Self {
        let public: Option<Uri> = server.public_url.as_deref().and_then(|url| url.parse().ok());
        let authority = public.as_ref().and_then(Uri::authority).map(Authority::as_str);
        let origin = public.as_ref().and_then(Uri::scheme_str).zip(authority);
        let own = origin.map(|(scheme, authority)| format!("{scheme}://{authority}"));
        Self {
            listen: listen.ip(),
            hosts: authority
                .map(str::to_owned)
                .into_iter()
                .chain(server.allowed_hosts.clone())
                .collect(),
            origins: own.into_iter().chain(server.allowed_origins.clone()).collect(),
        }
    }

    /// Whether that is a name of this host. The port does not count for its own addresses: a tunnel
    /// or a container changes it, and a page that could be loaded from there is on this machine.
    fn answers_to(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if authority.as_str().contains('@') {
            return false;
        }
        let name = authority.host();
        let listed =
            |known: &String| known.eq_ignore_ascii_case(host) || known.eq_ignore_ascii_case(name);
        if self.hosts.iter().any(listed) || name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        match name.trim_matches(['[', ']']).parse::<IpAddr>() {
            // An address cannot be rebound, only a name can.
            Ok(address) => {
                address.is_loopback() || address == self.listen || self.listen.is_unspecified()
            }
            Err(_) => false,
        }
    }

    fn trusts(&self, origin: &str) -> bool {
        self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// The origin of the page that asks, if one does and may.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host =
            hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
        let named = uri.authority().is_none_or(|authority| self.answers_to(authority.as_str()));
        if !named || !host.is_some_and(|host| self.answers_to(host)) {
            let message = format!(
                "this host does not answer to `{}`; add it to `server.allowed_hosts`",
                host.unwrap_or_default()
            );
            return Err(ApiError::new(Code::ForbiddenHost, message));
        }
        let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
        let text = origin.to_str().unwrap_or_default();
        if self.trusts(text) {
            return Ok(Some(origin.clone()));
        }
        let message =
            format!("pages of `{text}` may not call this host; see `server.allowed_origins`");
        Err(ApiError::new(Code::ForbiddenOrigin, message))
    }
}

/// Turns away who does not mean this host, and tells a trusted page's browser that it is trusted.
pub(super) async fn check(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let origin = match api.door.check(request.uri(), request.headers()) {
        Ok(origin) => origin,
        Err(error) => return error.into_response(),
    };
    let Some(origin) = origin else { return next.run(request).await };
    // A browser asks first, and without a token.
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if asks_first { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    if asks_first {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, PATCH"),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("authorization, content-type"),
        );
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(listen: &str, hosts: &[&str]) -> Door {
        Door {
            listen: listen.parse().unwrap(),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            origins: vec!["https://jobs.example.org".to_owned()],
        }
    }

    #[test]
    fn a_host_answers_to_its_own_names_and_to_no_other() {
        let local = door("127.0.0.1", &["jobs.example.org", "queue.example.org:8443"]);
        for host in [
            "localhost",
            "LocalHost:7878",
            "127.0.0.1:7878",
            "[::1]:9",
            "127.8.8.8",
            "jobs.example.org",
            "JOBS.example.org:443",
            "queue.example.org:8443",
        ] {
            assert!(local.answers_to(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:7878",
            "queue.example.org",
            "queue.example.org:1",
            "10.0.0.1",
            "localhost@evil.example",
            "a@localhost",
            "localhost, evil.example",
            "[::1",
            "localhost/..",
        ] {
            assert!(!local.answers_to(host), "{host}");
        }
    }

    #[test]
    fn a_host_that_listens_everywhere_answers_to_every_address_but_to_no_name() {
        let wide = door("0.0.0.0", &[]);
        assert!(wide.answers_to("10.1.2.3:7878") && wide.answers_to("[fe80::1]"));
        assert!(!wide.answers_to("rebound.example:7878"));
        assert!(
            door("10.1.2.3", &[]).answers_to("10.1.2.3")
                && !door("10.1.2.3", &[]).answers_to("10.1.2.4")
        );
    }

    #[test]
    fn an_origin_is_trusted_as_a_whole() {
        let door = door("127.0.0.1", &[]);
        assert!(door.trusts("https://jobs.example.org"));
        for origin in [
            "null",
            "http://jobs.example.org",
            "https://jobs.example.org:444",
            "https://jobs.example.org.evil",
            "",
        ] {
            assert!(!door.trusts(origin), "{origin}");
        }
    }
}
