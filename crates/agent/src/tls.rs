//! TLS to the server: by the token's fingerprint while enrolling, by both certificates afterwards.
//!
//! TLS 1.3 only. The server is asked for by [`SERVER_NAME`] whatever its address is; no public authority counts.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use wire::link::token::fingerprint;
use wire::link::{ALPN, SERVER_NAME};

use crate::identity::Identity;
use crate::link::LinkError;

/// Longest wait for a connection, the handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// With the same wait for its answer a dead peer is noticed within 20 s.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// For a host with an identity: both sides show certificates.
pub fn of_host(identity: &Identity) -> Result<Arc<ClientConfig>, LinkError> {
    let pem = |error: rustls_pki_types::pem::Error| LinkError::Certificate(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(identity.ca_pem.as_bytes()) {
        roots.add(certificate.map_err(pem)?)?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(pem)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.map_err(pem)?, key)?;
    Ok(with_alpn(config))
}

/// For a host that only has a token: the CA in the server's chain must have this fingerprint and have signed the rest.
pub fn of_token(ca: [u8; 32]) -> Result<Arc<ClientConfig>, LinkError> {
    let verifier = Arc::new(Pinned { ca, provider: provider() });
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(with_alpn(config))
}

fn with_alpn(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// One HTTP/2 connection to the server.
pub async fn connect(server: &str, config: Arc<ClientConfig>) -> Result<Channel, LinkError> {
    let address = Arc::<str>::from(server);
    let name = ServerName::try_from(SERVER_NAME).map_err(|_| LinkError::Certificate("the server's name is no name".into()))?;
    let connector = tower::service_fn(move |_: http::Uri| {
        let (address, config, name) = (address.clone(), config.clone(), name.clone());
        async move {
            let stream = TcpStream::connect(&*address).await?;
            stream.set_nodelay(true)?;
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    // The address in this URI is never dialled: the connector above knows where.
    let endpoint = Endpoint::from_shared(format!("http://{SERVER_NAME}"))?
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .buffer_size(64);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect_with_connector(connector));
    Ok(connected.await.map_err(|_| LinkError::Silent("the connection"))??)
}

/// Believes a chain whose CA has a known fingerprint.
#[derive(Debug)]
struct Pinned {
    ca: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ca = intermediates.iter().find(|certificate| fingerprint(certificate) == self.ca);
        let ca = ca.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone()).build();
        let webpki = webpki.map_err(|error| rustls::Error::General(error.to_string()))?;
        webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
