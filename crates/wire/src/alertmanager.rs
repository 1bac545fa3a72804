//! Alertmanager's webhook, version 4: what we send to receivers, and what an Alertmanager sends to us.
//!
//! The field names and their order are Alertmanager's, so that every receiver written for it takes ours.

use std::collections::BTreeMap;

use model::{Labels, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The only version there is.
pub const VERSION: &str = "4";
/// Largest body that is read, in bytes.
pub const BODY_LEN_MAX: usize = 16 * 1024 * 1024;
/// Most alerts in one body.
pub const ALERTS_MAX: usize = 10_000;
/// The instant that stands for "not known" in Go's JSON: 0001-01-01T00:00:00Z.
pub const NO_TIME: Time = Time::from_secs(-62_135_596_800);

/// One notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// [`VERSION`].
    pub version: String,
    /// Names the group; receivers join notifications by it.
    pub group_key: String,
    /// How many alerts were left out.
    #[serde(default)]
    pub truncated_alerts: u64,
    /// Firing as long as one alert is.
    pub status: Status,
    /// The receiver's name in the configuration.
    pub receiver: String,
    /// The labels that the group was made by.
    #[serde(default)]
    pub group_labels: Labels,
    /// The labels that all alerts share.
    #[serde(default)]
    pub common_labels: Labels,
    /// The annotations that all alerts share.
    #[serde(default)]
    pub common_annotations: BTreeMap<String, String>,
    /// Link to the sender.
    #[serde(default, rename = "externalURL")]
    pub external_url: String,
    /// The alerts.
    pub alerts: Vec<Alert>,
}

/// One alert of a notification.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Whether it fires.
    pub status: Status,
    /// Its identity.
    pub labels: Labels,
    /// What people read.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Its onset.
    pub starts_at: Time,
    /// Its end, or [`NO_TIME`] while it fires.
    #[serde(default = "no_time")]
    pub ends_at: Time,
    /// Link to what found it.
    #[serde(default, rename = "generatorURL")]
    pub generator_url: String,
    /// The fingerprint of its labels.
    #[serde(default)]
    pub fingerprint: Fingerprint,
}

/// Whether an alert, or a group, is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// On.
    Firing,
    /// Over.
    Resolved,
}

/// 16 hex digits; see [`Labels::fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint(pub u64);

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fingerprint, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u64::from_str_radix(&text, 16).ok().filter(|_| is_hex);
        number.map(Fingerprint).ok_or_else(|| serde::de::Error::custom("a fingerprint is 16 hex digits"))
    }
}

/// Why a body is no notification.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Over [`BODY_LEN_MAX`].
    #[error("the notification is {0} bytes long, {BODY_LEN_MAX} at most")]
    TooLong(usize),
    /// Not this JSON; the source says line and column.
    #[error("read the notification: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version.
    #[error("the notification's version is {0:?}, this build reads {VERSION:?}")]
    Version(String),
    /// Over [`ALERTS_MAX`].
    #[error("{0} alerts in one notification, {ALERTS_MAX} at most")]
    TooMany(usize),
}

/// Reads a notification.
pub fn decode(body: &[u8]) -> Result<Webhook, WebhookError> {
    if body.len() > BODY_LEN_MAX {
        return Err(WebhookError::TooLong(body.len()));
    }
    let webhook: Webhook = serde_json::from_slice(body)?;
    if webhook.version != VERSION {
        return Err(WebhookError::Version(webhook.version.chars().take(16).collect()));
    }
    if webhook.alerts.len() > ALERTS_MAX {
        return Err(WebhookError::TooMany(webhook.alerts.len()));
    }
    Ok(webhook)
}

/// Writes a notification.
pub fn encode(webhook: &Webhook) -> Vec<u8> {
    serde_json::to_vec(webhook).expect("texts, numbers and maps with text keys are always JSON")
}

impl Webhook {
    /// A notification of `alerts`: status and what they have in common are worked out.
    pub fn new(group_key: String, receiver: String, group_labels: Labels, external_url: String, alerts: Vec<Alert>) -> Webhook {
        let status = if alerts.iter().any(|alert| alert.status == Status::Firing) { Status::Firing } else { Status::Resolved };
        let (mut common_labels, mut common_annotations) =
            alerts.first().map(|first| (first.labels.clone(), first.annotations.clone())).unwrap_or_default();
        for alert in alerts.iter().skip(1) {
            let had = common_labels.clone();
            common_labels = common_labels.filter(|name| had.get(name) == alert.labels.get(name));
            common_annotations.retain(|name, text| alert.annotations.get(name) == Some(text));
        }
        Webhook {
            version: VERSION.to_owned(),
            group_key,
            truncated_alerts: 0,
            status,
            receiver,
            group_labels,
            common_labels,
            common_annotations,
            external_url,
            alerts,
        }
    }
}

fn no_time() -> Time {
    NO_TIME
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn alert(instance: &str, status: Status) -> Alert {
        let labels = Labels::new([("alertname", "Errors"), ("instance", instance)]).unwrap();
        Alert {
            status,
            annotations: BTreeMap::from([("summary".into(), format!("{instance} is bad")), ("runbook".into(), "r".into())]),
            starts_at: Time::from_millis(1_795_000_000_250),
            ends_at: NO_TIME,
            generator_url: "http://127.0.0.1:7070/explore".into(),
            fingerprint: Fingerprint(labels.fingerprint()),
            labels,
        }
    }

    #[test]
    fn written_as_alertmanager_does() {
        let group = Labels::new([("alertname", "Errors")]).unwrap();
        let alerts = vec![alert("a", Status::Resolved), alert("b", Status::Firing)];
        let webhook = Webhook::new("{}:{alertname=\"Errors\"}".into(), "ops".into(), group, "http://x".into(), alerts);
        let text = serde_json::to_string_pretty(&webhook).unwrap();
        let shown = text.split_once("    {\n      \"status\": \"firing\"").unwrap().0;
        expect![[r#"
            {
              "version": "4",
              "groupKey": "{}:{alertname=\"Errors\"}",
              "truncatedAlerts": 0,
              "status": "firing",
              "receiver": "ops",
              "groupLabels": {
                "alertname": "Errors"
              },
              "commonLabels": {
                "alertname": "Errors"
              },
              "commonAnnotations": {
                "runbook": "r"
              },
              "externalURL": "http://x",
              "alerts": [
                {
                  "status": "resolved",
                  "labels": {
                    "alertname": "Errors",
                    "instance": "a"
                  },
                  "annotations": {
                    "runbook": "r",
                    "summary": "a is bad"
                  },
                  "startsAt": "2026-11-18T11:06:40.25Z",
                  "endsAt": "0001-01-01T00:00:00Z",
                  "generatorURL": "http://127.0.0.1:7070/explore",
                  "fingerprint": "1112ce7a48c33403"
                },
        "#]]
        .assert_eq(shown);
        assert_eq!(decode(&encode(&webhook)).unwrap(), webhook);
    }

    #[test]
    fn bad_bodies_say_where() {
        for (body, said) in [
            ("{", "read the notification: EOF while parsing an object at line 1 column 1"),
            (
                r#"{"version":"3","groupKey":"","status":"firing","receiver":"","alerts":[]}"#,
                "the notification's version is \"3\", this build reads \"4\"",
            ),
            (
                r#"{"version":"4","groupKey":"","status":"on","receiver":"","alerts":[]}"#,
                "read the notification: unknown variant `on`, expected `firing` or `resolved` at line 1 column 42",
            ),
            (
                r#"{"version":"4","groupKey":"","status":"firing","receiver":"","alerts":[{"status":"firing","labels":{},"startsAt":"now"}]}"#,
                "read the notification: read the time `now`: write it like 2026-11-22T10:15:00Z at line 1 column 119",
            ),
            (
                r#"{"version":"4","groupKey":"","status":"firing","receiver":"","alerts":[{"status":"firing","labels":{},"startsAt":"2026-11-22T10:15:00Z","fingerprint":"+000000000000001"}]}"#,
                "read the notification: a fingerprint is 16 hex digits at line 1 column 169",
            ),
        ] {
            assert_eq!(decode(body.as_bytes()).unwrap_err().to_string(), said);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_cut_body_is_refused(cut in 0usize..400) {
            let whole = encode(&Webhook::new("k".into(), "r".into(), Labels::empty(), "u".into(), vec![alert("a", Status::Firing)]));
            prop_assert!(cut >= whole.len() || decode(&whole[..cut]).is_err());
        }
    }
}
