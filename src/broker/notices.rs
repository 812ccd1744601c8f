//! Says once per key in the log when somebody sets something that has no effect here, or none yet.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use crate::config::{Effect, Overrides, Scope, keys};

/// The keys that were spoken of since the broker started.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<BTreeSet<(Scope, &'static str)>>);

impl Notices {
    /// Logs what the settings of a topic, group or broker do not do.
    pub(super) fn tell(&self, scope: Scope, resource: &dyn Display, overrides: &Overrides) {
        for (key, effect) in self.news(scope, overrides) {
            match effect {
                Effect::Later => tracing::warn!(
                    %resource,
                    key,
                    "the setting is stored and described, but has no effect in this version yet"
                ),
                Effect::WithoutMeaning => tracing::info!(
                    %resource,
                    key,
                    "the setting is stored and described, but means nothing to this broker"
                ),
                Effect::Honoured | Effect::Internal => {}
            }
        }
    }

    /// The keys among `overrides` to speak of that nobody has spoken of yet.
    fn news(&self, scope: Scope, overrides: &Overrides) -> Vec<(&'static str, Effect)> {
        // A set of names is whole at any time: a panic elsewhere does not spoil it.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        overrides
            .keys()
            .filter_map(|name| keys::find(scope, name))
            .filter(|def| matches!(def.effect, Effect::Later | Effect::WithoutMeaning))
            .filter(|def| told.insert((scope, def.name)))
            .map(|def| (def.name, def.effect))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_without_effect_is_news_once() {
        let notices = Notices::default();
        let set = |names: &[&str]| {
            let pairs = names
                .iter()
                .map(|name| ((*name).to_owned(), "1".to_owned()));
            pairs.collect::<Overrides>()
        };
        let honoured = "max.message.bytes";
        let meaningless = "segment.index.bytes";
        let topic = Scope::Topic;
        let first = notices.news(topic, &set(&[honoured, meaningless, "no.such.key"]));
        assert_eq!(first, [(meaningless, Effect::WithoutMeaning)]);
        assert_eq!(notices.news(topic, &set(&[meaningless])), []);
        let of_broker = notices.news(Scope::Broker, &set(&["min.insync.replicas"]));
        assert_eq!(of_broker.len(), 1);
        assert_eq!(notices.news(topic, &set(&["min.insync.replicas"])).len(), 1);
    }
}
