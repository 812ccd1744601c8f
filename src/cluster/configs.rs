//! What is set on brokers, groups and client metrics subscriptions, and the rows that hold it.
//!
//! A topic's settings stand in the topic's own row.

use std::collections::BTreeMap;
use std::fmt;

use bytes::{Bytes, BytesMut};

use super::rows::{KIND_CONFIGS, Reader, RowError, put_layout, put_overrides, with_kind};
use crate::base::NodeId;
use crate::config::Overrides;
use crate::store::{Key, KeyRange, Space, Version};

/// What settings are set on (`ConfigResource`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    Topic(String),
    /// `None` stands for all brokers.
    Broker(Option<NodeId>),
    ClientMetrics(String),
    Group(String),
}

/// For messages.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Topic(name) => write!(f, "topic {name}"),
            Resource::Broker(None) => f.write_str("all brokers"),
            Resource::Broker(Some(id)) => write!(f, "broker {}", id.0),
            Resource::ClientMetrics(name) => write!(f, "client metrics {name}"),
            Resource::Group(name) => write!(f, "group {name}"),
        }
    }
}

/// `ConfigResource.Type`, as it stands in keys.
const TYPE_BROKER: u8 = 4;
const TYPE_CLIENT_METRICS: u8 = 16;
const TYPE_GROUP: u8 = 32;

const WHAT: &str = "settings";

/// What is set on each resource but topics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configs(BTreeMap<Resource, (Overrides, Version)>);

impl Configs {
    /// What is set on a resource.
    pub fn of(&self, resource: &Resource) -> Overrides {
        let found = self.0.get(resource);
        found.map(|(set, _)| set.clone()).unwrap_or_default()
    }

    /// The version of a resource's row, for guards.
    pub fn version(&self, resource: &Resource) -> Version {
        self.0
            .get(resource)
            .map_or(Version::ABSENT, |(_, version)| *version)
    }

    /// The resources on which something is set, by type and name.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.0.keys()
    }

    /// Takes over what is committed; nothing set means no row.
    pub fn set(&mut self, resource: Resource, overrides: Overrides, version: Version) {
        if overrides.is_empty() {
            self.0.remove(&resource);
        } else {
            self.0.insert(resource, (overrides, version));
        }
    }
}

/// Key of the row with the settings of a resource; `None` for a topic.
pub fn configs_key(resource: &Resource) -> Option<Key> {
    let (kind, name) = match resource {
        Resource::Topic(_) => return None,
        Resource::Broker(None) => (TYPE_BROKER, String::new()),
        Resource::Broker(Some(id)) => (TYPE_BROKER, id.0.to_string()),
        Resource::ClientMetrics(name) => (TYPE_CLIENT_METRICS, name.clone()),
        Resource::Group(name) => (TYPE_GROUP, name.clone()),
    };
    let mut rest = vec![kind];
    rest.extend(name.as_bytes());
    Some(with_kind(KIND_CONFIGS, &rest))
}

/// The range of all rows of settings.
pub fn configs_rows() -> KeyRange {
    KeyRange::prefix(Space::Cluster, vec![KIND_CONFIGS])
}

/// The resource from the key of its row.
pub fn resource_of(key: &Key) -> Result<Resource, RowError> {
    let damaged = || RowError::Damaged(WHAT, "its key names no resource");
    let [KIND_CONFIGS, kind, name @ ..] = &*key.bytes else {
        return Err(damaged());
    };
    let name = std::str::from_utf8(name).map_err(|_| damaged())?;
    match (*kind, name) {
        (TYPE_BROKER, "") => Ok(Resource::Broker(None)),
        (TYPE_BROKER, id) => match id.parse() {
            Ok(id) => Ok(Resource::Broker(Some(NodeId(id)))),
            Err(_) => Err(damaged()),
        },
        (TYPE_CLIENT_METRICS, name) => Ok(Resource::ClientMetrics(name.to_owned())),
        (TYPE_GROUP, name) => Ok(Resource::Group(name.to_owned())),
        _ => Err(damaged()),
    }
}

/// The value of a row of settings.
pub fn encode_configs(overrides: &Overrides) -> Bytes {
    let mut value = BytesMut::new();
    put_layout(&mut value);
    put_overrides(&mut value, overrides);
    value.freeze()
}

/// The inverse of [`encode_configs`].
pub fn decode_configs(value: &[u8]) -> Result<Overrides, RowError> {
    let mut reader = Reader::new(WHAT, value)?;
    let overrides = reader.overrides()?;
    reader.finish(overrides)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes are the on-disk format: they may not change under layout 1.
    #[test]
    fn rows_of_settings_have_these_bytes() {
        let overrides = Overrides::from([("k".to_owned(), "välue".to_owned())]);
        let mut golden = vec![1, 0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 6];
        golden.extend("välue".as_bytes());
        assert_eq!(encode_configs(&overrides), golden);
        assert_eq!(decode_configs(&golden), Ok(overrides));
        for end in 0..golden.len() {
            assert!(decode_configs(&golden[..end]).is_err(), "cut at {end}");
        }
        let table = [
            (Resource::Broker(None), vec![6, 4]),
            (Resource::Broker(Some(NodeId(12))), vec![6, 4, b'1', b'2']),
            (Resource::ClientMetrics("m".to_owned()), vec![6, 16, b'm']),
            (Resource::Group("g".to_owned()), vec![6, 32, b'g']),
        ];
        for (resource, bytes) in table {
            let key = configs_key(&resource).expect("has a row");
            assert_eq!(&*key.bytes, bytes);
            assert_eq!(resource_of(&key), Ok(resource));
            assert!(configs_rows().contains(&key));
        }
        assert_eq!(configs_key(&Resource::Topic("t".to_owned())), None);
        for bytes in [&[6][..], &[6, 3], &[6, 4, b'x'], &[5, 4], &[6, 32, 0xff]] {
            let key = with_kind(bytes[0], &bytes[1..]);
            assert!(resource_of(&key).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_resource_with_nothing_set_is_none() {
        let group = Resource::Group("g".to_owned());
        let mut configs = Configs::default();
        let set = Overrides::from([("k".to_owned(), "v".to_owned())]);
        configs.set(group.clone(), set.clone(), Version(3));
        assert_eq!(
            (configs.of(&group), configs.version(&group)),
            (set, Version(3))
        );
        configs.set(group.clone(), Overrides::new(), Version(4));
        assert_eq!(configs, Configs::default());
        assert_eq!(configs.version(&group), Version::ABSENT);
    }
}
