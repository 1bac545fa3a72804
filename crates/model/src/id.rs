//! Typed ids. Names come from the configuration, numbers are made by the engine, uuids (v7) at the edge.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name, in bytes.
pub const NAME_LEN_MAX: usize = 63;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a name: letters, digits, `.`, `_` and `-`, beginning with a letter or digit, {NAME_LEN_MAX} at most")]
pub struct NameError {
    /// What was given, cut.
    pub text: String,
}

fn check_name(text: &str) -> Result<(), NameError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = !text.is_empty()
        && text.len() <= NAME_LEN_MAX
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && text.bytes().all(plain)
        && !text.contains("..");
    if good { Ok(()) } else { Err(NameError { text: text.chars().take(80).collect() }) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks that `text` is a name: letters, digits, `.`, `_`, `-`; 63 bytes at most.
            pub fn new(text: impl AsRef<str>) -> Result<$name, NameError> {
                check_name(text.as_ref())?;
                Ok($name(Arc::from(text.as_ref())))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<$name, NameError> {
                $name::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                $name::new(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$" })
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <String as utoipa::PartialSchema>::schema()
            }
        }
        impl utoipa::ToSchema for $name {}
    )*};
}

names! {
    /// A host: a machine with an agent.
    HostName;
    /// A project: has services.
    ProjectName;
    /// A service: what is released and what hurts.
    ServiceName;
    /// An environment: FAT, UAT, PROD, or what the user calls them.
    EnvironmentName;
    /// A person with an account.
    PersonName;
    /// A token's name: a program with an account.
    TokenName;
    /// A load balancer.
    BalancerName;
    /// A probe.
    ProbeName;
    /// A chat room.
    RoomName;
    /// A receiver of notices: a webhook, a mail address, a room.
    ReceiverName;
    /// A heartbeat, by the name of its job.
    HeartbeatName;
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
        #[serde(transparent)]
        #[schema(value_type = String)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> $name {
                $name(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

texts! {
    /// An id made at the edge for something that comes in: uuid v7. The same id twice is the same thing twice.
    EventId;
    /// An order's number, like `20261122-101500-7K`: UTC, and a tail made of the journal's sequence number.
    OrderNumber;
    /// The sha256 of an artifact, 64 hexadecimal digits.
    ArtifactDigest;
    /// The sha256 of a plan's canonical text, 64 hexadecimal digits.
    PlanDigest;
    /// What makes an effect the same effect when it is performed again.
    EffectKey;
    /// A rule's name, as its file gives it.
    RuleName;
    /// A rule and its alert's labels: `rule/16 hexadecimal digits`.
    AlertKey;
}

impl OrderNumber {
    /// The last part, by which people call an order once it was named: `7K`.
    pub fn tail(&self) -> &str {
        self.0.rsplit('-').next().unwrap_or(&self.0)
    }
}

impl PlanDigest {
    /// The first eight digits in two groups, as pages show it: `5d1e 09b2`.
    pub fn short(&self) -> String {
        let head: String = self.0.chars().take(8).collect();
        if head.len() == 8 { format!("{} {}", &head[..4], &head[4..]) } else { head }
    }
}

/// The place of an event in the journal: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = u64)]
pub struct Seq(pub u64);

/// An incident's number: 1, 2, 3, ...
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = u64)]
pub struct IncidentNumber(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for IncidentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The start of a server by which agents tell the newer one from an older: grows by one with each start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = u64)]
pub struct Epoch(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["shop-1", "a", "Zhao.Wei", "4.12.0"] {
            assert!(HostName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a b", "a/b", "..", "a..b", "a\n", "é", &"x".repeat(64)] {
            assert!(HostName::new(bad).is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<HostName>("\"../etc\"").is_err());
    }

    #[test]
    fn numbers_have_tails() {
        assert_eq!(OrderNumber::from("20261122-101500-7K").tail(), "7K");
        assert_eq!(PlanDigest::from("5d1e09b2ff").short(), "5d1e 09b2");
    }
}
