//! Changes of settings: decided on the newest snapshot, committed with guards, put into effect.

use super::change::Attempt;
use super::{ATTEMPTS_MAX, CatalogError, Changing, CreateMode, Inner};
use crate::cluster::{self, AlterConfig, AlterError, Altered, Resource};
use crate::config::Scope;
use crate::store::Version;

impl Inner {
    /// Deciding again after a commit whose end nobody saw is safe: what was changed already is then the same.
    pub(super) async fn alter(
        &self,
        requests: &[AlterConfig],
        mode: CreateMode,
    ) -> Result<Vec<Result<Altered, AlterError>>, CatalogError> {
        let mut changing = self.changing.lock().await;
        for _ in 0..ATTEMPTS_MAX {
            // The snapshots are let go before they are changed: nothing is copied then.
            let alteration = {
                let (configs, config) = (self.configs.borrow().clone(), self.live.now());
                cluster::alter_configs(&self.snapshot(), &configs, &config, requests)
            };
            if alteration.writes.is_empty() || mode == CreateMode::ValidateOnly {
                return Ok(alteration.outcomes);
            }
            let attempt = self.commit(alteration.guards, alteration.writes).await?;
            if let Attempt::Done(version) = attempt {
                self.take_over(&mut changing, &alteration.outcomes, version)?;
                return Ok(alteration.outcomes);
            }
            *changing = self.reload().await?;
        }
        Err(CatalogError::Contended)
    }

    fn take_over(
        &self,
        changing: &mut Changing,
        outcomes: &[Result<Altered, AlterError>],
        version: Version,
    ) -> Result<(), CatalogError> {
        let altered = || outcomes.iter().flatten();
        let topics = altered().filter_map(|altered| match altered {
            Altered::Topic(topic) => Some(topic),
            Altered::Same | Altered::Other(..) => None,
        });
        self.publish(topics, |topics, topic| {
            topics.insert(topic.clone(), version)
        });
        self.configs.send_modify(|configs| {
            let configs = std::sync::Arc::make_mut(configs);
            for altered in altered() {
                if let Altered::Other(resource, set) = altered {
                    configs.set(resource.clone(), set.clone(), version);
                }
            }
        });
        let is_broker =
            |altered: &Altered| matches!(altered, Altered::Other(Resource::Broker(_), _));
        if altered().any(is_broker) {
            self.follow(changing)?;
        }
        altered().for_each(|altered| self.tell(altered));
        Ok(())
    }

    /// Says what has no effect of what is set now.
    fn tell(&self, altered: &Altered) {
        let (resource, set) = match altered {
            Altered::Same => return,
            Altered::Topic(topic) => (&Resource::Topic(topic.name.to_string()), &topic.overrides),
            Altered::Other(resource, set) => (resource, set),
        };
        let scope = match resource {
            Resource::Topic(_) => Scope::Topic,
            Resource::Broker(_) => Scope::Broker,
            Resource::ClientMetrics(_) => Scope::ClientMetrics,
            Resource::Group(_) => Scope::Group,
        };
        self.notices.tell(scope, resource, set);
    }
}
