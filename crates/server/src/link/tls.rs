//! TLS for the agents' listener: version 1.3, HTTP/2, certificates of hosts from our own authority or none.
//!
//! Who a certificate belongs to and whether it may do what it asks for is the service's business; here an expired one
//! passes for 90 days, because it may still renew.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use wire::link::ALPN;

use super::LinkError;
use super::authority::Authority;
use crate::clock::SharedClock;

/// So long an expired certificate may renew.
pub const RENEW_WITHIN: Duration = Duration::from_secs(90 * 24 * 3_600);

/// How good a host's certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Good for everything.
    Valid,
    /// Good for its renewal.
    Expired,
}

/// Checks certificates of hosts.
#[derive(Clone, Debug)]
pub struct HostVerifier(Arc<dyn ClientCertVerifier>);

impl HostVerifier {
    /// Those that this authority made.
    pub fn new(authority: &CertificateDer<'static>) -> Result<HostVerifier, LinkError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).allow_unauthenticated().build();
        built.map(HostVerifier).map_err(|error| LinkError::Tls(rustls::Error::General(error.to_string())))
    }

    /// How good a certificate is at that time.
    pub fn standing(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<Standing, rustls::Error> {
        match self.0.verify_client_cert(certificate, &[], now) {
            Ok(_) => Ok(Standing::Valid),
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }))
                if now.as_secs().saturating_sub(not_after.as_secs()) <= RENEW_WITHIN.as_secs() =>
            {
                // All the rest must hold as it did in its last second.
                self.0.verify_client_cert(certificate, &[], not_after).map(|_| Standing::Expired)
            }
            Err(error) => Err(error),
        }
    }
}

impl ClientCertVerifier for HostVerifier {
    fn client_auth_mandatory(&self) -> bool {
        // An enrolment has none yet; every other call is refused without one.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.standing(end_entity, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What the listener speaks.
pub fn server_config(authority: Arc<Authority>, hosts: HostVerifier, clock: SharedClock) -> Result<Arc<ServerConfig>, LinkError> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(OurTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(hosts))
        .with_cert_resolver(Arc::new(Own(authority)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would skip the check of the certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The clock's time as TLS counts it.
pub fn unix_time(clock: &SharedClock) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_micros(u64::try_from(clock.now().0).unwrap_or(0)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Certificates expire by the server's clock.
struct OurTime(SharedClock);

impl std::fmt::Debug for OurTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OurTime")
    }
}

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(&self.0))
    }
}

#[derive(Debug)]
struct Own(Arc<Authority>);

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.own())
    }
}
