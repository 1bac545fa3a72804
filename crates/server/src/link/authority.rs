//! The server's own certificate authority: makes its own certificate and those of hosts. Trusts nobody and is trusted by
//! nobody else.
//!
//! A certificate begins a day early, so that a host whose clock is behind can still connect and be told.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{HostName, Time};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use wire::link::token::fingerprint;
use wire::link::{SERVER_NAME, host_uri};

use super::{LinkError, sealed};
use crate::clock::SharedClock;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long the authority itself is valid.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);
/// How long a host's certificate is valid; agents renew daily.
pub const HOST_LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The server's own is made anew after half of this, so a server that never restarts does not run out.
const SERVER_LIFE: Duration = Duration::from_secs(60 * 24 * 3_600);
/// Longest request for a certificate, in bytes.
pub const CSR_LEN_MAX: usize = 16 * 1024;

/// Why a request for a certificate was refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Too long.
    #[error("read the certificate request: {0} bytes, {CSR_LEN_MAX} at most")]
    TooLong(usize),
    /// Not a request, or not signed by the key in it.
    #[error("read the certificate request: {0}")]
    Malformed(rcgen::Error),
    /// It could not be signed.
    #[error("sign the certificate: {0}")]
    Sign(rcgen::Error),
}

/// The certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    certificate: CertificateDer<'static>,
    names: Vec<SanType>,
    clock: SharedClock,
    own: Mutex<(Time, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authority {}", hex::encode(self.fingerprint()))
    }
}

impl Authority {
    /// Reads the authority, or makes it at the first start. The server's own certificate gets these names.
    pub fn open(folder: &Path, names: Vec<String>, clock: SharedClock) -> Result<Authority, LinkError> {
        sealed::folder(folder)?;
        let path = folder.join("ca.pem");
        let text = match sealed::read(&path)? {
            Some(content) => String::from_utf8(content).map_err(|error| sealed::wrong(&path, error))?,
            None => {
                let text = found(clock.now())?;
                // Key and certificate in one file: there is never the one without the other.
                sealed::write(&path, text.as_bytes())?;
                text
            }
        };
        let wrong = |error: &dyn ToString| sealed::wrong(&path, error.to_string());
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(&error))?;
        let key = KeyPair::try_from(&key).map_err(|error| wrong(&error))?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(&error))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| wrong(&error))?;
        let begin = text.find("-----BEGIN CERTIFICATE").ok_or_else(|| wrong(&"no certificate"))?;
        let pem = text[begin..].to_owned();
        let names = alternative_names(names);
        let own = make_own(&issuer, &certificate, &names, clock.now())?;
        let own = Mutex::new((clock.now(), Arc::new(own)));
        Ok(Authority { issuer, pem, certificate, names, clock, own })
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's certificate as PEM, without its key.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// By this tokens name the authority.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.certificate)
    }

    /// A certificate for a host with the key of its request. What else the request says does not count.
    pub fn certify(&self, host: &HostName, csr_pem: &str) -> Result<(String, CertificateDer<'static>), RequestError> {
        if csr_pem.len() > CSR_LEN_MAX {
            return Err(RequestError::TooLong(csr_pem.len()));
        }
        let request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(RequestError::Malformed)?;
        let made = params(host.as_str(), self.clock.now(), HOST_LIFE).and_then(|mut params| {
            params.subject_alt_names.push(SanType::URI(host_uri(host).try_into()?));
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.signed_by(&request.public_key, &self.issuer)
        });
        let made = made.map_err(RequestError::Sign)?;
        Ok((made.pem(), made.der().clone()))
    }

    /// The server's own certificate and key; made anew when it is half through.
    pub fn own(&self) -> Arc<CertifiedKey> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if now.since(own.0) > SERVER_LIFE / 2 {
            match make_own(&self.issuer, &self.certificate, &self.names, now) {
                Ok(made) => *own = (now, Arc::new(made)),
                Err(error) => tracing::error!(%error, "failed to make a new certificate for the agents' listener"),
            }
        }
        own.1.clone()
    }
}

/// A new authority as PEM: its key, then its certificate.
fn found(now: Time) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = params("flyball CA", now, AUTHORITY_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    let certificate = params.self_signed(&key)?;
    Ok(key.serialize_pem() + &certificate.pem())
}

fn make_own(
    issuer: &Issuer<'static, KeyPair>,
    authority: &CertificateDer<'static>,
    names: &[SanType],
    now: Time,
) -> Result<CertifiedKey, LinkError> {
    let key = KeyPair::generate()?;
    let mut params = params(SERVER_NAME, now, SERVER_LIFE)?;
    params.subject_alt_names = names.to_vec();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::ring::sign::any_supported_type(&key)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone(), authority.clone()], key))
}

fn params(name: &str, now: Time, life: Duration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(DAY);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + life;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|_| rcgen::Error::RemoteKeyError)?;
    // A serial number is positive.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn alternative_names(names: Vec<String>) -> Vec<SanType> {
    let mut all = Vec::new();
    for name in std::iter::once(SERVER_NAME.to_owned()).chain(names) {
        let name = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => match Ia5String::try_from(name.as_str()) {
                Ok(text) => SanType::DnsName(text),
                Err(_) => {
                    tracing::warn!(name, "this is no name for a certificate; it is left out");
                    continue;
                }
            },
        };
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// What a host is known by: the sha256 of its public key (SPKI, DER) in hexadecimal digits.
pub fn key_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let parsed = rustls::server::ParsedCertificate::try_from(certificate).ok()?;
    Some(hex::encode(fingerprint(&parsed.subject_public_key_info())))
}

/// The same of a request for a certificate.
pub fn key_of_request(csr_pem: &str) -> Option<String> {
    let request = (csr_pem.len() <= CSR_LEN_MAX).then(|| CertificateSigningRequestParams::from_pem(csr_pem).ok())??;
    Some(hex::encode(fingerprint(&request.public_key.subject_public_key_info())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn the_authority_stays_and_a_host_gets_what_it_is_called_not_what_it_says() {
        let home = tempfile::tempdir().unwrap();
        let open = || Authority::open(home.path(), vec!["web.example".into(), "192.0.2.1".into()], Arc::new(SystemClock::new()));
        let authority = open().unwrap();
        assert_eq!(open().unwrap().fingerprint(), authority.fingerprint());
        assert!(!authority.pem().contains("PRIVATE"));

        let key = KeyPair::generate().unwrap();
        let mut says = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        says.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        says.distinguished_name.push(DnType::CommonName, "other");
        let csr = says.serialize_request(&key).unwrap().pem().unwrap();
        let (pem, der) = authority.certify(&HostName::new("web-1").unwrap(), &csr).unwrap();
        assert_eq!(key_of(&der), key_of_request(&csr));
        let text = String::from_utf8_lossy(&der);
        assert!(text.contains("flyball://host/web-1") && !text.contains("evil.example"), "{pem}");

        for bad in ["", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", &"x".repeat(20_000)] {
            assert!(authority.certify(&HostName::new("web-1").unwrap(), bad).is_err() && key_of_request(bad).is_none());
        }
        std::fs::write(home.path().join("ca.pem"), "damaged").unwrap();
        assert!(open().is_err());
    }
}
