//! Who this host is: its key, its certificate and the server's CA, in one file that is replaced as a whole.
//!
//! The key is made here and never leaves. A one-time token says which server to trust before there is a certificate.

use model::{HostName, Time};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use wire::link::token::{Token, TokenError, fingerprint};
use wire::link::{EnrollAnswer, EnrollRequest, PROTOCOL, RenewAnswer, host_uri};

use crate::folder::{Folder, FolderError, read_json, write_json};
use crate::link::{LinkError, enroll};
use crate::tls;

/// The version of the identity's file.
const VERSION: u32 = 1;
/// The identity's file.
const FILE: &str = "identity.json";

/// Who this host is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Identity {
    version: u32,
    /// The host's name, as the server knows it.
    pub host: HostName,
    /// The server's link address.
    pub server: String,
    /// The host's key, PEM.
    pub key_pem: String,
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// The server's CA, PEM.
    pub ca_pem: String,
    /// When the certificate was made, on the server's clock as far as it was known.
    pub certified_at: Time,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity of {} at {}", self.host, self.server)
    }
}

/// There is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file can't be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Neither an identity nor a token.
    #[error(
        "find out who this host is: the folder holds no identity, so the first start needs a token (`flyball enrol HOST` on the server)"
    )]
    NoToken,
    /// The token is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The machine's own name can't be used.
    #[error("use this machine's name `{0}` as the host's: give one that is made of letters, digits, `.`, `_` and `-`")]
    MachineName(String),
    /// A key or a request for a certificate could not be made.
    #[error("make a key: {0}")]
    Key(#[from] rcgen::Error),
    /// The server said no, or was not there.
    #[error("enrol at {server}")]
    Enroll {
        /// Where.
        server: String,
        /// Why.
        #[source]
        source: LinkError,
    },
    /// What the server answered is not what the token promised.
    #[error("enrol at {server}: {why}")]
    Answer {
        /// Where.
        server: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Identity {
    /// Reads the identity, or enrols with a token.
    pub async fn open(
        folder: &Folder,
        token: Option<&str>,
        server: Option<&str>,
        host: Option<&HostName>,
    ) -> Result<Identity, IdentityError> {
        let path = folder.file(FILE);
        if let Some(mut identity) = read_json::<Identity>(&path)? {
            if identity.version > VERSION {
                let why = format!("version {}, this build reads {VERSION}", identity.version);
                return Err(FolderError::Content { path, why }.into());
            }
            if let Some(server) = server {
                identity.server = server.to_owned();
            }
            return Ok(identity);
        }
        let token = Token::parse(token.ok_or(IdentityError::NoToken)?)?;
        let host = host.cloned().map_or_else(machine_name, Ok)?;
        let server = server.unwrap_or(&token.server).to_owned();
        let key = KeyPair::generate()?;
        let request =
            EnrollRequest { token: token.secret.clone(), csr_pem: csr(&key, &host)?, host: host.to_string(), protocol: PROTOCOL };
        let failed = |source| IdentityError::Enroll { server: server.clone(), source };
        let answer = enroll(&server, token.ca, request).await.map_err(failed)?;
        let identity = Identity::of_answer(server, key.serialize_pem(), &token, answer)?;
        identity.save(folder)?;
        tracing::info!(host = %identity.host, server = %identity.server, "enrolled");
        Ok(identity)
    }

    fn of_answer(server: String, key_pem: String, token: &Token, answer: EnrollAnswer) -> Result<Identity, IdentityError> {
        let wrong = |why| IdentityError::Answer { server: server.clone(), why };
        let host = HostName::new(&answer.host).map_err(|_| wrong("the name it gave this host is no name"))?;
        let ca = CertificateDer::from_pem_slice(answer.ca_pem.as_bytes()).map_err(|_| wrong("it sent no CA certificate"))?;
        // Later connections trust this certificate alone, so it must be the one that the token names.
        if fingerprint(&ca) != token.ca {
            return Err(wrong("the CA certificate it sent is not the one in the token"));
        }
        let certified_at = crate::clock::host_now();
        let EnrollAnswer { certificate_pem, ca_pem, .. } = answer;
        let identity =
            Identity { version: VERSION, host, server: server.clone(), key_pem, certificate_pem, ca_pem, certified_at };
        tls::of_host(&identity).map_err(|_| wrong("the certificate it sent does not fit the key"))?;
        Ok(identity)
    }

    /// A request for a new certificate with the same key.
    pub fn renewal(&self) -> Result<String, rcgen::Error> {
        csr(&KeyPair::from_pem(&self.key_pem)?, &self.host)
    }

    /// With a new certificate; refused if it doesn't fit the key.
    pub fn renewed(&self, answer: RenewAnswer, now: Time) -> Result<Identity, LinkError> {
        let ca_pem = if answer.ca_pem.is_empty() { self.ca_pem.clone() } else { answer.ca_pem };
        let identity = Identity { certificate_pem: answer.certificate_pem, ca_pem, certified_at: now, ..self.clone() };
        tls::of_host(&identity)?;
        Ok(identity)
    }

    /// Replaces the file.
    pub fn save(&self, folder: &Folder) -> Result<(), FolderError> {
        write_json(&folder.file(FILE), self)
    }
}

fn csr(key: &KeyPair, host: &HostName) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host.as_str());
    params.subject_alt_names.push(SanType::URI(host_uri(host).try_into()?));
    params.serialize_request(key)?.pem()
}

fn machine_name() -> Result<HostName, IdentityError> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy().into_owned();
    HostName::new(&name).map_err(|_| IdentityError::MachineName(name))
}
