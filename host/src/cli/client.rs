//! Speaks HTTP with a host.

mod error;

use std::{fs, io, path::PathBuf, time::Duration};

use axum::http::{HeaderMap, Method, Request, Response, header};
use serde::Deserialize;
use serde_json::Value;
use ureq::{
    Agent, Body, Error, Proxy,
    tls::{Certificate, RootCerts, TlsConfig},
};

pub use self::error::ClientError;
use super::reach::is_loopback;

/// Parameters and a result at their default limits, and room around them.
const LARGEST_ANSWER: u64 = 64 << 20;
/// A host on another continent answers sooner.
const CONNECT: Duration = Duration::from_secs(10);
/// From the request to its whole answer; a bulk of large parameters over a slow line included.
const ANSWER: Duration = Duration::from_secs(120);

/// Talks to one host.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    url: String,
    authorisation: String,
}

/// Something to read, and what stands above it.
pub(super) struct Headed<T> {
    pub(super) body: T,
    headers: HeaderMap,
}

impl<T> Headed<T> {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Whose certificates are believed.
pub(super) enum Trust {
    /// The system's.
    System,
    /// This one, and no other.
    Certificate(PathBuf),
    /// Whoever answers.
    Anybody,
}

impl Client {
    pub(super) fn new(url: String, token: &str, trust: &Trust) -> Result<Self, ClientError> {
        let tls = TlsConfig::builder();
        let tls = match trust {
            Trust::System => tls.root_certs(RootCerts::PlatformVerifier),
            Trust::Certificate(path) => {
                tls.root_certs(RootCerts::Specific(certificates(path)?.into()))
            }
            Trust::Anybody => tls.disable_verification(true),
        };
        // A proxy of the environment is for the world outside.
        let proxy = if is_loopback(&url) { None } else { Proxy::try_from_env() };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // A token follows nobody's directions.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .tls_config(tls.build())
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, url, authorisation: format!("Bearer {token}") })
    }

    /// Where the host is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Reads something.
    pub(super) fn get(&self, path: &str) -> Result<Value, ClientError> {
        let response = self.send(Method::GET, path, None, Some(ANSWER))?;
        self.read(response)
    }

    /// Reads something that a host says with more than one status.
    pub(super) fn status(&self, path: &str) -> Result<(u16, Value), ClientError> {
        let response = self.exchange(Method::GET, path, None, Some(ANSWER))?;
        Ok((response.status().as_u16(), self.read(response)?))
    }

    /// Asks for something that changes the host.
    pub(super) fn send_json(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, ClientError> {
        let response = self.send(method, path, Some(body.to_string()), Some(ANSWER))?;
        self.read(response)
    }

    /// Reads text, and what stands above it.
    pub(super) fn text(&self, path: &str) -> Result<Headed<String>, ClientError> {
        let mut response = self.send(Method::GET, path, None, Some(ANSWER))?;
        let body = self.body(&mut response)?;
        Ok(Headed { body, headers: response.into_parts().0.headers })
    }

    /// Reads something that comes bit by bit, for as long as it takes.
    pub(super) fn stream(&self, path: &str) -> Result<Headed<impl io::Read + use<>>, ClientError> {
        let (parts, body) = self.send(Method::GET, path, None, None)?.into_parts();
        let body = body.into_with_config().limit(u64::MAX).reader();
        Ok(Headed { body, headers: parts.headers })
    }

    /// Asks, and takes no for an error.
    fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: Option<Duration>,
    ) -> Result<Response<Body>, ClientError> {
        let mut response = self.exchange(method, path, body, deadline)?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let text = response.body_mut().with_config().limit(1 << 20).read_to_string();
        Err(self.refusal(status, &text.unwrap_or_default()))
    }

    fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: Option<Duration>,
    ) -> Result<Response<Body>, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header(header::AUTHORIZATION, &self.authorisation)
            .header(header::ACCEPT, "application/json");
        let sent = match body {
            Some(body) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body)
                .map_err(Error::from)
                .and_then(|request| self.run(request, deadline)),
            None => request
                .body(())
                .map_err(Error::from)
                .and_then(|request| self.run(request, deadline)),
        };
        sent.map_err(|error| self.unreachable(error))
    }

    fn run(
        &self,
        request: Request<impl ureq::AsSendBody>,
        deadline: Option<Duration>,
    ) -> Result<Response<Body>, Error> {
        let request = self.agent.configure_request(request).timeout_global(deadline).build();
        self.agent.run(request)
    }

    fn body(&self, response: &mut Response<Body>) -> Result<String, ClientError> {
        let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string();
        body.map_err(|error| self.unreachable(error))
    }

    fn read(&self, mut response: Response<Body>) -> Result<Value, ClientError> {
        let text = self.body(&mut response)?;
        serde_json::from_str(&text).map_err(|error| ClientError::Foreign {
            url: self.url.clone(),
            message: format!("its answer cannot be read: {error}"),
        })
    }

    fn unreachable(&self, error: Error) -> ClientError {
        let url = self.url.clone();
        // What TLS has to say comes as an error of the connection.
        match error {
            Error::Io(error) if is_no_tls(&error) => {
                let message = "it does not speak TLS; is it HTTP?".to_owned();
                ClientError::Foreign { url, message }
            }
            Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                ClientError::Untrusted { url, source: error }
            }
            Error::Protocol(error) => {
                let message = format!("it does not speak HTTP ({error}); is it HTTPS?");
                ClientError::Foreign { url, message }
            }
            // It says what it is by itself.
            Error::Io(error) => ClientError::Unreachable { url, source: error.into() },
            other => ClientError::Unreachable { url, source: other.into() },
        }
    }

    /// What an answer other than yes means.
    fn refusal(&self, status: u16, text: &str) -> ClientError {
        let url = self.url.clone();
        let Ok(Told { error }) = serde_json::from_str(text) else {
            return ClientError::Foreign {
                url,
                message: format!("it answers with status {status}"),
            };
        };
        let message = match error.field {
            Some(field) => format!("{field}: {}", error.message),
            None => error.message,
        };
        match status {
            401 => ClientError::Unauthorised { url, message },
            404 => ClientError::NotFound { message },
            400..500 => ClientError::Refused { message },
            _ => ClientError::Troubled { url, message },
        }
    }
}

/// The body of every answer that is an error.
#[derive(Deserialize)]
struct Told {
    error: ToldError,
}

#[derive(Deserialize)]
struct ToldError {
    message: String,
    field: Option<String>,
}

fn is_no_tls(error: &io::Error) -> bool {
    let source = error.get_ref().and_then(|source| source.downcast_ref());
    matches!(source, Some(tokio_rustls::rustls::Error::InvalidMessage(_)))
}

fn certificates(path: &PathBuf) -> Result<Vec<Certificate<'static>>, ClientError> {
    let failed = |source| ClientError::Certificate { path: path.clone(), source };
    let pem = fs::read(path).map_err(|source| failed(source.into()))?;
    let items = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(failed(error.into()))),
    });
    items.collect()
}
