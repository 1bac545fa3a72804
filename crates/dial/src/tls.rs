//! The certificates that are trusted when flyball asks others: a given PEM file, or the system's.
//!
//! They are read at the first request over TLS, because most installations have none, and kept. The file of the system is
//! the one that Debian's and most others' packages write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// Where the system keeps its certificates; the first that is there counts.
const SYSTEM_ROOTS: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The trusted certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file can't be read.
    #[error("read the trusted certificates in `{path}`: {why}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Nothing in it.
    #[error("no certificate in `{path}` can be used")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// TLS can't be set up.
    #[error("set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// A TLS client that trusts the certificates of `file`, or the system's.
pub(crate) fn client(file: Option<&Path>) -> Result<Arc<ClientConfig>, RootsError> {
    let system = || SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists()).unwrap_or(Path::new(SYSTEM_ROOTS[0]));
    let path = file.unwrap_or_else(system);
    let read = |error: rustls_pki_types::pem::Error| RootsError::Read { path: path.to_owned(), why: error.to_string() };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
        // A system's bundle may hold certificates that webpki doesn't read; the others still count.
        let _ = roots.add(certificate.map_err(read)?);
    }
    if roots.is_empty() {
        return Err(RootsError::Empty { path: path.to_owned() });
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
