//! Connections: taken one after the other, each served beside the others, all of them ended when the
//! host stops.

use std::{fs::File, future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
};

use crate::{config::Tls, host::Host};

/// A client that takes longer to say what it wants, or to agree on a key, is not one to wait for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests that are under way when the host stops get so long.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves the API on `listener` until `stop` is done; requests that are under way end within 5 s.
///
/// # Errors
///
/// The certificate or its key cannot be used, or the listener is none. What goes wrong with one
/// connection ends that connection only.
pub async fn serve(
    host: Arc<Host>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let tls = host.config.server.tls.as_ref().map(acceptor).transpose()?;
    let (close, closing) = watch::channel(false);
    let router = super::router(host, listener.local_addr()?, closing.clone());
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(open(stream, tls.clone(), router.clone(), closing.clone()));
            }
            Err(error) => {
                // Out of files, say: others close some meanwhile. Asking again at once would spin.
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    let _ = close.send(true);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS, all).await.is_err() {
        tracing::warn!(connections = connections.len(), "cut off at the end");
    }
    Ok(())
}

async fn open(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    closing: watch::Receiver<bool>,
) {
    // Answers are small, and written whole.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return talk(stream, router, closing).await };
    match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, router, closing).await,
        Ok(Err(error)) => tracing::debug!(%error, "no agreement on TLS"),
        Err(_) => tracing::debug!("no agreement on TLS in time"),
    }
}

async fn talk<S>(stream: S, router: Router, mut closing: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    // The guard that `wait_for` answers with must not live on in this future.
    let close = async { drop(closing.wait_for(|closing| *closing).await) };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = close => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

fn acceptor(tls: &Tls) -> io::Result<TlsAcceptor> {
    let wrong = |what: &str, path: &std::path::Path, why: String| {
        let message = format!("`server.tls.{what}` ({}) cannot be used: {why}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let chain = CertificateDer::pem_reader_iter(io::BufReader::new(
        File::open(&tls.cert).map_err(|error| wrong("cert", &tls.cert, error.to_string()))?,
    ));
    let chain: Vec<_> = chain
        .collect::<Result<_, _>>()
        .map_err(|error| wrong("cert", &tls.cert, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| wrong("key", &tls.key, error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong("cert", &tls.cert, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
