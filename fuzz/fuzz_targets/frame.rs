//! A frame as it comes off a socket: its header, and its body against the shape of every version of its API.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla::api::{APIS, Api};
use ottla::protocol::frame::{REQUEST_SIZE_MIN, RequestStart, split_client_id};
use ottla::protocol::shape::ELEMENTS_MAX;

fuzz_target!(|frame: &[u8]| {
    let Ok(start) = RequestStart::read(frame) else {
        assert!(frame.len() < REQUEST_SIZE_MIN);
        return;
    };
    for flexible in [false, true] {
        let mut body = Bytes::copy_from_slice(frame);
        if split_client_id(&mut body, flexible).is_err() {
            continue;
        }
        assert!(frame.ends_with(&body));
        let Some(api) = Api::find(APIS, start.api_key) else {
            continue;
        };
        for version in api.versions.clone() {
            if let Ok(elements) = api.request.walk(version, &body) {
                assert!(elements <= ELEMENTS_MAX);
            }
        }
    }
});
