# A small image: the binary, the C library that it needs, and a user that is not root.
#   docker build -t ottla .
#   docker run -p 9092:9092 -v ottla-data:/data ottla --advertise localhost:9092
# --advertise is the address that clients outside can reach. All settings can also come from the environment in the
# way of Kafka's own image: -e KAFKA_NUM_PARTITIONS=3.
FROM rust:1-bookworm AS build
WORKDIR /ottla
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY tests tests
COPY benches benches
RUN cargo build --release --locked --bin ottla && strip target/release/ottla

FROM debian:bookworm-slim
RUN useradd --system --uid 1001 --no-create-home ottla && mkdir /data && chown ottla:ottla /data
COPY --from=build /ottla/target/release/ottla /usr/local/bin/ottla
USER ottla
VOLUME /data
EXPOSE 9092
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ottla", "--data", "/data", "--listen", "0.0.0.0:9092"]
