//! The table's invariants, held for every API.

use kafka_protocol::messages::ApiKey;

use super::{APIS, Api};

#[test]
fn the_table_is_sorted_by_key_without_repeats() {
    let keys: Vec<i16> = APIS.iter().map(|api| api.key as i16).collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
}

#[test]
fn only_produce_is_listed_below_what_is_served() {
    for api in APIS {
        let expected = match api.key {
            ApiKey::Produce => 0,
            _ => *api.versions.start(),
        };
        assert_eq!(api.listed_min, expected, "{:?}", api.key);
        assert!(!api.versions.is_empty(), "{:?}", api.key);
    }
}

#[test]
fn an_api_is_found_by_its_number() {
    for api in APIS {
        let found = Api::find(APIS, api.key as i16).map(|found| found.key);
        assert_eq!(found, Some(api.key));
    }
    assert!(
        [-1, 4, i16::MAX]
            .iter()
            .all(|key| Api::find(APIS, *key).is_none())
    );
}
