//! Well-formed requests full of nonsense: every handler answers each of them, without a panic.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::testing::{broker, connection};
use super::{APIS, Answer, Api, Reply, Request};
use crate::base::Rng;
use crate::protocol::shape::sample;

/// Requests per API and version.
const ROUNDS: usize = 60;

/// A long poll with a random wait is left alone after this.
const WAIT_MAX: Duration = Duration::from_millis(1);

fn frame(api: &Api, version: i16, rng: &mut Rng) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_i16(api.key as i16);
    frame.put_i16(version);
    frame.put_i32(77);
    frame.put_i16(-1);
    if api.request.is_flexible(version) {
        frame.put_u8(0);
    }
    frame.put_slice(&sample::body(api.request, version, rng));
    frame.freeze()
}

#[tokio::test]
async fn nonsense_is_answered() {
    let broker = broker(&[]).await;
    let mut rng = Rng::seeded(4);
    for api in APIS {
        for version in api.versions.clone() {
            for round in 0..ROUNDS {
                let what = format!("{:?} v{version}, round {round}", api.key);
                let frame = frame(api, version, &mut rng);
                let request = Request::read(APIS, &broker, &connection(), frame.clone())
                    .unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
                let answered = tokio::spawn(tokio::time::timeout(WAIT_MAX, answer(request)));
                let reply = answered
                    .await
                    .unwrap_or_else(|panic| panic!("{what}: {panic} for {frame:?}"));
                if let Ok(Reply::Close(reason)) = reply {
                    panic!("{what}: closed: {reason}");
                }
            }
        }
    }
}

async fn answer(request: Request) -> Reply {
    match (request.api.handle)(request.call).await {
        Answer::Ready(reply) => reply,
        Answer::Pending(reply) => reply.await,
    }
}
