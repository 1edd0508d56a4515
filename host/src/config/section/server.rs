//! `[server]`: where the host listens and whom it answers.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::config::{
    kind::{
        Flag, List,
        form::{ADDRESS, HOST, URL, WEB_ORIGIN},
        path::FilePath,
    },
    reader::Table,
};

/// `[server]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where HTTP is served. Defaults to 127.0.0.1:7878.
    pub listen: SocketAddr,
    /// How jobs and browsers reach the host, if not by `listen`.
    pub public_url: Option<String>,
    /// The certificate and its key; without them, plain HTTP.
    pub tls: Option<Tls>,
    /// The operator's word that a proxy in front provides TLS.
    pub behind_tls_proxy: bool,
    /// `Host` headers that are answered besides the host's own address and `public_url`.
    pub allowed_hosts: Vec<String>,
    /// Web origins whose pages may call the host.
    pub allowed_origins: Vec<String>,
}

/// `[server.tls]`.
#[derive(Clone, Debug)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

impl Server {
    pub(in crate::config) fn read(table: &Table<'_>) -> Self {
        Self {
            listen: table
                .key("listen", ADDRESS)
                .means(
                    "Address and port to serve HTTP on. Beyond loopback it needs `[[tokens]]` and \
                     either `tls` or `behind_tls_proxy`.",
                )
                .or(SocketAddr::from((Ipv4Addr::LOCALHOST, 7878))),
            public_url: table
                .key("public_url", URL)
                .means("How jobs and browsers reach this host, where that is not `listen`.")
                .optional(),
            behind_tls_proxy: table
                .key("behind_tls_proxy", Flag)
                .means("Your word that a proxy in front of the host provides TLS.")
                .or(false),
            allowed_hosts: table
                .key("allowed_hosts", List::of(HOST))
                .means(
                    "`Host` headers to answer besides the host's own addresses and `public_url`.",
                )
                .or(Vec::new()),
            allowed_origins: table
                .key("allowed_origins", List::of(WEB_ORIGIN))
                .means(
                    "Web origins whose pages may call the host. Requests from other pages are \
                     refused.",
                )
                .or(Vec::new()),
            tls: table
                .optional_section("tls", "Serves HTTPS instead of HTTP.", Tls::read)
                .flatten(),
        }
    }
}

impl Tls {
    fn read(table: &Table<'_>) -> Option<Self> {
        let cert =
            table.key("cert", FilePath).means("PEM file with the certificate chain.").required();
        let key = table.key("key", FilePath).means("PEM file with the private key.").required();
        Some(Self { cert: cert?, key: key? })
    }
}
