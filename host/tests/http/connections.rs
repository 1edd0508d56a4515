//! Over real connections: what only they can show.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use longshore::{http::serve, job::Outcome};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

use crate::site::{ALICE, Site};

const AT_MOST: Duration = Duration::from_secs(20);

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

async fn served(site: &Site) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let task = tokio::spawn(serve(Arc::clone(&site.host), listener, stopped));
    Served { address, stop, task }
}

impl Served {
    async fn say(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn stopped(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(AT_MOST, self.task).await.expect("it ends").unwrap().unwrap();
    }
}

async fn all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    tokio::time::timeout(AT_MOST, stream.read_to_end(&mut text)).await.expect("an end").unwrap();
    String::from_utf8(text).unwrap()
}

/// Reads until `text` has come.
async fn until(stream: &mut TcpStream, text: &str) {
    let mut seen = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&seen).contains(text) {
            let count = stream.read_buf(&mut seen).await.unwrap();
            assert_ne!(count, 0, "ended before {text:?}: {}", String::from_utf8_lossy(&seen));
        }
    };
    tokio::time::timeout(AT_MOST, read).await.expect("it comes");
}

fn request(path: &str) -> String {
    format!(
        "GET /api/3.0{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ALICE}\r\nConnection: close\r\n\r\n"
    )
}

#[tokio::test]
async fn a_client_over_tcp_gets_its_answer_and_the_host_stops() {
    let site = Site::new().await;
    let served = served(&site).await;
    let answer = all(served.say(&request("/server-info")).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    served.stopped().await;
}

#[tokio::test]
async fn followed_output_ends_with_the_job() {
    let site = Site::new().await;
    let (id, claimed) = site.running(ALICE).await;
    let served = served(&site).await;
    let mut follower = served.say(&request(&format!("/jobs/{id}/logs?follow=true"))).await;
    until(&mut follower, "\r\n\r\n").await;
    let _ = site.host.store.job_log_put(claimed.id, claimed.token, "the end\n").await.unwrap();
    let ended = longshore::store::Ended {
        outcome: Outcome::Failed { error: "no".to_owned() },
        work: longshore::lifecycle::Work::Gone,
    };
    let _ = site.host.store.job_settle(claimed.id, claimed.token, None, &ended).await.unwrap();
    assert!(all(follower).await.contains("the end\n"));
    served.stopped().await;
}

#[tokio::test]
async fn a_host_that_stops_does_not_wait_for_those_who_follow_or_idle() {
    let site = Site::new().await;
    let (id, _) = site.running(ALICE).await;
    let served = served(&site).await;
    let mut follower = served.say(&request(&format!("/jobs/{id}/logs?follow=true"))).await;
    until(&mut follower, "\r\n\r\n").await;
    let idle = served.say("").await;
    let slow = served.say("GET /api/3.0/ser").await;
    served.stopped().await;
    all(follower).await;
    all(idle).await;
    drop(slow);
}

#[tokio::test]
async fn nonsense_on_a_connection_ends_that_connection_only() {
    let site = Site::new().await;
    let served = served(&site).await;
    assert!(all(served.say("\0\x16\x03\x01\r\n\r\n").await).await.starts_with("HTTP/1.1 400"));
    let smuggled = format!(
        "{}GET / HTTP/1.1\r\n",
        request("/server-info").replace("\r\n\r\n", "\r\nContent-Length: x\r\n\r\n")
    );
    assert!(all(served.say(&smuggled).await).await.starts_with("HTTP/1.1 400"));
    assert!(all(served.say(&request("/server-info")).await).await.starts_with("HTTP/1.1 200"));
    served.stopped().await;
}

#[tokio::test]
async fn with_a_certificate_the_host_speaks_tls_and_nothing_else() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let site = Site::with("[server.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n").await;
    std::fs::write(site.directory.path().join("cert.pem"), cert.pem()).unwrap();
    std::fs::write(site.directory.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
    let served = served(&site).await;

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(served.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.write_all(request("/server-info").as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(AT_MOST, stream.read_to_string(&mut answer))
        .await
        .expect("an end")
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    let mut plain = served.say(&request("/server-info")).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(AT_MOST, plain.read_to_end(&mut answer)).await.expect("an end");
    assert!(!answer.starts_with(b"HTTP"));
    served.stopped().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    let site = Site::with("[server.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n").await;
    let refused = async || {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        serve(Arc::clone(&site.host), listener, std::future::ready(()))
            .await
            .unwrap_err()
            .to_string()
    };
    let missing = refused().await;
    assert!(missing.contains("`server.tls.cert`") && missing.contains("cert.pem"), "{missing}");
    for name in ["cert.pem", "key.pem"] {
        std::fs::write(site.directory.path().join(name), "not PEM").unwrap();
    }
    let empty = refused().await;
    assert!(empty.contains("`server.tls."), "{empty}");
}
