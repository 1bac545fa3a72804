//! The messages between agent and server: one stream in both directions, dialled by the agent, and two single calls.
//!
//! The structs are protobuf by prost, written by hand so that no protoc is needed; a field's number is never used again
//! for something else, and a reader skips fields that it does not know: agent and server may be one version apart. What
//! belongs to the model travels as its JSON, so it has one definition only. Samples have their own form, [`samples`].

//!
//! # What both sides agree on
//!
//! TLS 1.3 with ALPN `h2`. The server's certificate is signed by its own CA, carries [`SERVER_NAME`] as DNS name whatever
//! the address is, and its chain includes the CA's certificate, so that an enrolling host can compare it with the
//! fingerprint in its token ([`token`]). A host's certificate has the host's name as its common name (CN) and
//! [`host_uri`] as URI among its alternative names; the server believes only that, and `Hello.host` must say the same. The client
//! certificate is optional in the handshake, because [`ENROLL_PATH`] has none; every other path refuses without one.
//! Steps are signed as Ed25519 over `SignedStep.payload`, nothing before and nothing after it.

pub mod duty;
pub mod samples;
pub mod token;

use model::HostName;

/// The version of this protocol that this build speaks; it also understands the one before.
pub const PROTOCOL: u32 = 1;
/// The oldest version that this build still understands.
pub const PROTOCOL_MIN: u32 = 1;
/// The gRPC service's full name.
pub const SERVICE: &str = "flyball.link.v1.AgentLink";
/// Path of the stream: [`AgentFrame`]s up, [`ServerFrame`]s down.
pub const CONNECT_PATH: &str = "/flyball.link.v1.AgentLink/Connect";
/// Path of the enrolment: [`EnrollRequest`] to [`EnrollAnswer`], the only call without a client certificate.
pub const ENROLL_PATH: &str = "/flyball.link.v1.AgentLink/Enroll";
/// Path of the renewal of a certificate: [`RenewRequest`] to [`RenewAnswer`].
pub const RENEW_PATH: &str = "/flyball.link.v1.AgentLink/Renew";
/// Path of an artifact's bytes: [`FetchArtifact`] to a stream of [`ArtifactChunk`]s. Status NOT_FOUND: no such artifact.
pub const FETCH_PATH: &str = "/flyball.link.v1.AgentLink/FetchArtifact";
/// The protocol name in the TLS handshake.
pub const ALPN: &[u8] = b"h2";
/// The DNS name in the server's certificate, and the name that agents ask for: the address plays no part in trust.
pub const SERVER_NAME: &str = "link.flyball.internal";
/// Largest [`ArtifactChunk`], in bytes.
pub const CHUNK_LEN_MAX: usize = 256 * 1024;
/// Largest message in either direction, in bytes: room for the longest key of a series, 4.2 MB.
pub const FRAME_LEN_MAX: usize = 8 * 1024 * 1024;

/// The version that both sides speak, given the other side's; `None` if there is none.
pub fn common_protocol(theirs: u32) -> Option<u32> {
    (theirs >= PROTOCOL_MIN).then(|| theirs.min(PROTOCOL))
}

/// The URI among the alternative names of a host's certificate: `flyball://host/NAME`.
pub fn host_uri(host: &HostName) -> String {
    format!("flyball://host/{host}")
}

/// The host of such a URI, `None` for any other.
pub fn host_of_uri(uri: &str) -> Option<HostName> {
    HostName::new(uri.strip_prefix("flyball://host/")?).ok()
}

/// One message of the agent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AgentFrame {
    /// Rises by one with each frame that wants an acknowledgement, over reconnects too; 0 for those that want none.
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    /// What it says; `None` is something newer than this build.
    #[prost(oneof = "AgentBody", tags = "2, 3, 4, 5, 6, 7")]
    pub body: Option<AgentBody>,
}

/// What an agent says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum AgentBody {
    /// The first frame on each connection.
    #[prost(message, tag = "2")]
    Hello(Hello),
    /// Samples in the form of [`samples`]; the dictionary lives as long as the connection.
    #[prost(bytes = "vec", tag = "3")]
    Samples(Vec<u8>),
    /// An event of the model: a change, a service's state, lines of a log.
    #[prost(message, tag = "4")]
    Event(AgentEvent),
    /// The answer to a step.
    #[prost(message, tag = "5")]
    StepAnswer(StepAnswer),
    /// The answer to a ping.
    #[prost(message, tag = "6")]
    Pong(Pong),
    /// A wish for a new certificate, answered by [`ServerBody::Renew`].
    #[prost(message, tag = "7")]
    RenewRequest(RenewRequest),
}

/// Who is there, and what is still open from before.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hello {
    /// The host's id; the certificate must say the same.
    #[prost(string, tag = "1")]
    pub host: String,
    /// The agent's version, for people.
    #[prost(string, tag = "2")]
    pub agent_version: String,
    /// [`PROTOCOL`] of the agent's build.
    #[prost(uint32, tag = "3")]
    pub protocol: u32,
    /// The highest fencing epoch seen; steps of a lower one are refused.
    #[prost(uint64, tag = "4")]
    pub fencing_epoch_seen: u64,
    /// Changes with each boot of the host.
    #[prost(string, tag = "5")]
    pub boot_id: String,
    /// Steps that were started and have no answer yet.
    #[prost(string, repeated, tag = "6")]
    pub unanswered: Vec<String>,
    /// Changes with each start of the agent; sequence numbers belong to it.
    #[prost(string, tag = "7")]
    pub run_id: String,
}

/// An event, as the model's JSON.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AgentEvent {
    /// [`duty::AgentNews`]: the model's event, or lines of a log.
    #[prost(bytes = "vec", tag = "1")]
    pub json: Vec<u8>,
}

/// The answer to a step, as the model's JSON.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StepAnswer {
    /// The step's key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The model's answer.
    #[prost(bytes = "vec", tag = "2")]
    pub json: Vec<u8>,
}

/// The answer to a ping.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pong {
    /// The ping's time, given back, in microseconds.
    #[prost(int64, tag = "1")]
    pub server_time_us: i64,
    /// Samples that the agent had to drop since it started.
    #[prost(uint64, tag = "2")]
    pub dropped_samples: u64,
}

/// One message of the server.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ServerFrame {
    /// Everything up to this sequence number of the agent is on disk.
    #[prost(uint64, tag = "1")]
    pub acknowledged: u64,
    /// What it says; `None` for an acknowledgement alone, or something newer than this build.
    #[prost(oneof = "ServerBody", tags = "2, 3, 4, 5, 6, 7")]
    pub body: Option<ServerBody>,
}

/// What the server says.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ServerBody {
    /// The answer to a hello.
    #[prost(message, tag = "2")]
    Welcome(Welcome),
    /// Do this.
    #[prost(message, tag = "3")]
    Step(SignedStep),
    /// Are you there; also the server's clock, by which steps expire.
    #[prost(message, tag = "4")]
    Ping(Ping),
    /// The new certificate.
    #[prost(message, tag = "5")]
    Renew(RenewAnswer),
    /// Why the server is about to close, or what it refused.
    #[prost(message, tag = "6")]
    Error(LinkFault),
    /// The host's configuration has changed.
    #[prost(message, tag = "7")]
    Config(HostConfig),
}

/// The answer to a hello.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// The server's clock, in microseconds.
    #[prost(int64, tag = "1")]
    pub server_time_us: i64,
    /// The fencing epoch of this server.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    /// What this host shall do.
    #[prost(message, optional, tag = "3")]
    pub config: Option<HostConfig>,
    /// The keys whose signatures on steps count.
    #[prost(message, repeated, tag = "4")]
    pub signing_keys: Vec<SigningKey>,
    /// The version that is spoken on this connection.
    #[prost(uint32, tag = "5")]
    pub protocol: u32,
}

/// The part of the configuration that a host needs, as the model's JSON.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HostConfig {
    /// [`duty::HostDuty`]: the model's host configuration with the services and probes of this host.
    #[prost(bytes = "vec", tag = "1")]
    pub json: Vec<u8>,
}

/// A public key for signatures on steps.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SigningKey {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key_id: String,
    /// 32 bytes of Ed25519.
    #[prost(bytes = "vec", tag = "2")]
    pub public_key: Vec<u8>,
}

/// A step of a plan, signed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SignedStep {
    /// The model's step request as JSON; these bytes are what is signed.
    #[prost(bytes = "vec", tag = "1")]
    pub payload: Vec<u8>,
    /// 64 bytes of Ed25519.
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
    /// Which key.
    #[prost(string, tag = "3")]
    pub key_id: String,
}

/// Are you there?
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ping {
    /// The server's clock, in microseconds.
    #[prost(int64, tag = "1")]
    pub server_time_us: i64,
}

/// What went wrong on the link.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinkFault {
    /// For the log and for people.
    #[prost(string, tag = "1")]
    pub text: String,
    /// True if connecting again can't help: the agent waits long before it tries.
    #[prost(bool, tag = "2")]
    pub is_final: bool,
}

/// A host's wish to be known.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EnrollRequest {
    /// The secret part of the one-time token: [`token::Token::secret`].
    #[prost(string, tag = "1")]
    pub token: String,
    /// The certificate signing request, PEM.
    #[prost(string, tag = "2")]
    pub csr_pem: String,
    /// The host's name as it would like to be called.
    #[prost(string, tag = "3")]
    pub host: String,
    /// [`PROTOCOL`] of the agent's build.
    #[prost(uint32, tag = "4")]
    pub protocol: u32,
}

/// The host is known from now on.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EnrollAnswer {
    /// The host's id.
    #[prost(string, tag = "1")]
    pub host: String,
    /// Its certificate, PEM.
    #[prost(string, tag = "2")]
    pub certificate_pem: String,
    /// The certificates that the server's own may be signed by, PEM.
    #[prost(string, tag = "3")]
    pub ca_pem: String,
}

/// A wish for a new certificate.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RenewRequest {
    /// The certificate signing request with the same key, PEM.
    #[prost(string, tag = "1")]
    pub csr_pem: String,
}

/// A new certificate.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RenewAnswer {
    /// The certificate, PEM.
    #[prost(string, tag = "1")]
    pub certificate_pem: String,
    /// The certificates that the server's own may be signed by, PEM.
    #[prost(string, tag = "2")]
    pub ca_pem: String,
}

/// A wish for an artifact's bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FetchArtifact {
    /// The sha256, 64 hexadecimal digits.
    #[prost(string, tag = "1")]
    pub digest: String,
    /// From which byte on: what lies on the host already is not sent again.
    #[prost(uint64, tag = "2")]
    pub offset: u64,
}

/// The next bytes of an artifact, in order; [`CHUNK_LEN_MAX`] at most. The end of the stream is the end of the artifact.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ArtifactChunk {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub data: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    #[test]
    fn frames_go_both_ways() {
        let hello = Hello {
            host: "web-1".into(),
            agent_version: "0.1.0".into(),
            protocol: PROTOCOL,
            fencing_epoch_seen: 7,
            boot_id: "b".into(),
            unanswered: vec!["20261122-101500-7K/3".into()],
            run_id: "r".into(),
        };
        let up = AgentFrame { sequence: 9, body: Some(AgentBody::Hello(hello)) };
        assert_eq!(AgentFrame::decode(up.encode_to_vec().as_slice()).unwrap(), up);
        let step = SignedStep { payload: b"{}".to_vec(), signature: vec![7; 64], key_id: "k1".into() };
        let down = ServerFrame { acknowledged: 9, body: Some(ServerBody::Step(step)) };
        assert_eq!(ServerFrame::decode(down.encode_to_vec().as_slice()).unwrap(), down);
    }

    #[test]
    fn a_newer_message_is_an_empty_one() {
        // Field 60, bytes "x": what a later version might send.
        let bytes = [0x08, 5, 0xe2, 3, 1, b'x'];
        assert_eq!(AgentFrame::decode(&bytes[..]).unwrap(), AgentFrame { sequence: 5, body: None });
    }

    #[test]
    fn a_host_is_named_by_its_uri() {
        let host = HostName::new("web-1").unwrap();
        assert_eq!(host_of_uri(&host_uri(&host)), Some(host));
        for other in ["web-1", "flyball://host/", "flyball://host/a/b", "flyball://server/web-1"] {
            assert_eq!(host_of_uri(other), None, "{other}");
        }
    }

    #[test]
    fn versions_meet() {
        assert_eq!(common_protocol(PROTOCOL), Some(PROTOCOL));
        assert_eq!(common_protocol(PROTOCOL + 1), Some(PROTOCOL));
        assert_eq!(common_protocol(PROTOCOL_MIN - 1), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for frame in [AgentFrame::decode(bytes.as_slice()).map(|frame| frame.encoded_len()),
                          ServerFrame::decode(bytes.as_slice()).map(|frame| frame.encoded_len())].into_iter().flatten() {
                prop_assert!(frame <= bytes.len() * 10);
            }
        }
    }
}
