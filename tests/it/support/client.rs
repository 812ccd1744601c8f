//! A client of raw frames: it sends what no real client would, and takes answers apart.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for what must come. A wait this long is a failure, never a measurement.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a broker.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    next_correlation_id: i32,
}

impl Client {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the broker accepts");
        stream.set_nodelay(true).expect("a TCP socket");
        Self {
            stream,
            next_correlation_id: 1,
        }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the broker reads");
    }

    /// Sends bytes with their length in front.
    pub(crate) async fn send_frame(&mut self, frame: &[u8]) {
        let length = i32::try_from(frame.len()).expect("a test's frame is short");
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        self.send_raw(&bytes).await;
    }

    /// Sends a request and returns its correlation id.
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.send_frame(&request_frame(version, correlation_id, request))
            .await;
        correlation_id
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let correlation_id = self.send(version, request).await;
        self.answer::<R>(version, correlation_id).await
    }

    /// The next answer, which must be the one to `correlation_id`.
    pub(crate) async fn answer<R: Request>(
        &mut self,
        version: i16,
        correlation_id: i32,
    ) -> R::Response {
        let mut frame = self.frame().await.expect("an answer, not the end");
        assert_eq!(frame.get_i32(), correlation_id, "answers come in order");
        if R::Response::header_version(version) >= 1 {
            assert_eq!(frame.get_u8(), 0, "no tagged fields in the header");
        }
        let response = R::Response::decode(&mut frame, version).expect("an answer that decodes");
        assert!(frame.is_empty(), "{} bytes too many", frame.len());
        response
    }

    /// The next frame without its length; `None` if the broker has closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let read = async {
            let length = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(length).expect("a length")];
            self.stream.read_exact(&mut frame).await.ok()?;
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("an answer or the end in time")
    }

    /// Waits for the broker to close the connection without another answer.
    pub(crate) async fn closed(&mut self) {
        let frame = self.frame().await;
        assert!(frame.is_none(), "an answer instead of the end: {frame:?}");
    }
}

/// A request with its header, without its length.
pub(crate) fn request_frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("raw")));
    let mut frame = BytesMut::new();
    encode_request_header_into_buffer(&mut frame, &header).expect("a header that encodes");
    request
        .encode(&mut frame, version)
        .expect("a request that encodes");
    frame.freeze()
}

/// The header of a request in its classic version, for requests that no encoder would make.
pub(crate) fn classic_header(api: ApiKey, version: i16, correlation_id: i32) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i16(api as i16);
    frame.put_i16(version);
    frame.put_i32(correlation_id);
    frame.put_i16(-1);
    frame
}
