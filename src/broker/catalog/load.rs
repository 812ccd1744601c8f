//! Topics and settings as the store has them, and as they follow the broker's settings.

use std::sync::Arc;

use super::{CatalogError, Changing, Inner, get, scan};
use crate::cluster::{self, Configs, Counter, Resource, Topic, TopicRow, Topics};
use crate::config::{Config, Overrides, TopicConfig};

impl Inner {
    /// Reads all settings and topics and publishes them.
    pub(super) async fn reload(&self) -> Result<Changing, CatalogError> {
        let store = self.store.as_ref();
        let mut configs = Configs::default();
        scan(store, cluster::configs_rows(), |row, value| {
            let resource = cluster::resource_of(&row.key)?;
            configs.set(resource, cluster::decode_configs(&value)?, row.version);
            Ok(())
        })
        .await?;
        let config = self.live_config(&configs);
        let defaults = self.topic_config(&config, "", &Overrides::new())?;
        self.configs.send_replace(Arc::new(configs));
        self.live.replace(Arc::clone(&config));

        let mut topics = Topics::default();
        scan(store, cluster::topic_rows(), |row, value| {
            let name = cluster::topic_name_of(&row.key)?;
            let topic = self.topic(&config, &defaults, name, cluster::decode_topic(&value)?)?;
            topics.insert(Arc::new(topic), row.version);
            Ok(())
        })
        .await?;
        self.topics.send_replace(Arc::new(topics));

        let row = get(store, cluster::counter_key()).await?;
        let next = match &row.value {
            Some(value) => cluster::decode_counter(value)?,
            None => 0,
        };
        let counter = Counter {
            next,
            version: row.version,
        };
        Ok(Changing { counter, defaults })
    }

    /// Puts the settings of brokers that stand in `configs` into effect: what every topic inherits, too.
    pub(super) fn follow(&self, changing: &mut Changing) -> Result<(), CatalogError> {
        let config = self.live_config(&self.configs.borrow());
        let defaults = self.topic_config(&config, "", &Overrides::new())?;
        self.live.replace(Arc::clone(&config));
        if defaults == changing.defaults {
            return Ok(());
        }
        let before = self.snapshot();
        let mut topics = Topics::default();
        for topic in before.iter() {
            let row = TopicRow {
                id: topic.id,
                partitions: topic.partitions.clone(),
                overrides: topic.overrides.clone(),
            };
            let followed = self.topic(&config, &defaults, &topic.name, row)?;
            topics.insert(Arc::new(followed), before.version(topic.id));
        }
        changing.defaults = defaults;
        self.topics.send_replace(Arc::new(topics));
        Ok(())
    }

    /// What the broker was started with, and what was set on it since. What a newer broker stored and this one would
    /// refuse does not count, and the log says so.
    fn live_config(&self, configs: &Configs) -> Arc<Config> {
        let of_cluster = configs.of(&Resource::Broker(None));
        let of_broker = configs.of(&Resource::Broker(Some(self.settings.node_id)));
        let (config, ignored) = self.fixed.with_dynamic(&of_cluster, &of_broker);
        if !ignored.is_empty() {
            tracing::warn!(
                keys = ignored.join(", "),
                "stored settings of the broker do not count: this version does not take them at run time"
            );
        }
        Arc::new(config)
    }

    fn topic(
        &self,
        config: &Config,
        defaults: &Arc<TopicConfig>,
        name: &str,
        row: TopicRow,
    ) -> Result<Topic, CatalogError> {
        Ok(Topic {
            id: row.id,
            name: Arc::from(name),
            partitions: row.partitions,
            config: match row.overrides.is_empty() {
                true => Arc::clone(defaults),
                false => self.topic_config(config, name, &row.overrides)?,
            },
            overrides: row.overrides,
            internal: cluster::is_internal(name),
        })
    }

    /// A topic with a setting that is no longer valid (the folder was used by a newer broker) works by its others, and
    /// the log says so.
    fn topic_config(
        &self,
        config: &Config,
        name: &str,
        overrides: &Overrides,
    ) -> Result<Arc<TopicConfig>, CatalogError> {
        let (resolved, refused) = TopicConfig::of_stored(config, overrides)?;
        for error in refused {
            tracing::warn!(topic = name, %error, "a stored setting of the topic does not count");
        }
        Ok(Arc::new(resolved))
    }
}
