//! Says once per key in the log when a topic sets something that has no effect here, or none yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::config::{Effect, Scope, keys};

/// The keys that were spoken of since the broker started.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<BTreeSet<&'static str>>);

impl Notices {
    /// Logs what a topic's settings do not do.
    pub(super) fn tell(&self, topic: &str, overrides: &BTreeMap<String, String>) {
        for (key, effect) in self.news(overrides) {
            match effect {
                Effect::Later => tracing::warn!(
                    topic,
                    key,
                    "the setting is stored and described, but has no effect in this version yet"
                ),
                Effect::WithoutMeaning => tracing::info!(
                    topic,
                    key,
                    "the setting is stored and described, but means nothing to this broker"
                ),
                Effect::Honoured | Effect::Internal => {}
            }
        }
    }

    /// The keys among `overrides` to speak of that nobody has spoken of yet.
    fn news(&self, overrides: &BTreeMap<String, String>) -> Vec<(&'static str, Effect)> {
        // A set of names is whole at any time: a panic elsewhere does not spoil it.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        overrides
            .keys()
            .filter_map(|name| keys::find(Scope::Topic, name))
            .filter(|def| matches!(def.effect, Effect::Later | Effect::WithoutMeaning))
            .filter(|def| told.insert(def.name))
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
            pairs.collect::<BTreeMap<_, _>>()
        };
        let honoured = "max.message.bytes";
        let meaningless = "segment.index.bytes";
        let first = notices.news(&set(&[honoured, meaningless, "no.such.key"]));
        assert_eq!(first, [(meaningless, Effect::WithoutMeaning)]);
        assert_eq!(notices.news(&set(&[meaningless])), []);
    }
}
