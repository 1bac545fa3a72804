//! TLS for the people's door: a certificate and its key from files. Never makes one: browsers would not trust it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those above it, in PEM, its own first.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("read `{path}`: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: PemError,
    },
    /// A file without what is wanted of it.
    #[error("read `{0}`: there is no certificate in it")]
    Empty(PathBuf),
    /// The key is another certificate's, or of an unknown kind.
    #[error("use the certificate `{certificate}` with the key `{key}`: {source}")]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// What a door with this certificate speaks: TLS 1.2 and 1.3, HTTP/1.1.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { path, source }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&files.certificate).map_err(unreadable(&files.certificate))?.collect();
    let chain = chain.map_err(unreadable(&files.certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(files.certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key))?;
    let mismatch = |source| TlsError::Mismatch { certificate: files.certificate.clone(), key: files.key.clone(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(mismatch)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_and_its_own_key_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(vec!["flyball.example".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["flyball.example".to_owned()]).unwrap();
        let write = |name: &str, text: String| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let certificate = write("own.pem", own.cert.pem());
        let key = write("own.key", own.signing_key.serialize_pem());
        let wrong = write("other.key", other.signing_key.serialize_pem());
        let empty = write("empty.pem", String::new());
        let files = |certificate: &Path, key: &Path| TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() };
        assert!(server_config(&files(&certificate, &key)).is_ok());
        let refused = |certificate: &Path, key: &Path| server_config(&files(certificate, key)).unwrap_err();
        assert!(matches!(refused(&certificate, &wrong), TlsError::Mismatch { .. }));
        assert!(matches!(refused(&empty, &key), TlsError::Empty(_)));
        for missing in [refused(&folder.path().join("no.pem"), &key), refused(&certificate, &empty)] {
            assert!(matches!(missing, TlsError::Read { .. }), "{missing}");
        }
    }
}
