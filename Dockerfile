# An image for brokers; docs/container.md says how to use it and how it is tested.
#   docker build -t ottla .
#   docker run -p 9092:9092 -v ottla-data:/var/lib/kafka/data ottla
# Settings come as they come to Kafka's own image: -e KAFKA_NUM_PARTITIONS=3, or a file in /mnt/shared/config.
# `--target minimal` leaves the shell out: nothing but the broker and its part of the C library.
FROM rust:1-bookworm AS build
WORKDIR /ottla
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY tests tests
COPY benches benches
RUN cargo build --release --locked --bin ottla
# /image: the binary, the libraries that it asks for, a name for the user. /owned: what that user may write to.
RUN install -D --strip target/release/ottla /image/usr/local/bin/ottla \
    && ldd target/release/ottla | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory=/image \
    && install -d /image/etc /image/var/lib && install -d -m 1777 /image/tmp \
    && echo 'ottla:x:1000:1000::/:/bin/false' >/image/etc/passwd && echo 'ottla:x:1000:' >/image/etc/group \
    && install -d -m 775 /owned/kafka/data

FROM scratch AS minimal
LABEL org.opencontainers.image.title="Ottla" \
      org.opencontainers.image.description="A Kafka broker in one small binary" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image /
# User 1000, as in Kafka's image, so that its volumes fit; group 0 for platforms that choose the user themselves.
COPY --from=build --chown=1000:0 /owned /var/lib
USER 1000:1000
VOLUME /var/lib/kafka/data
EXPOSE 9092
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --retries=3 CMD ["/usr/local/bin/ottla", "health", "--container"]
ENTRYPOINT ["/usr/local/bin/ottla", "--container"]

FROM debian:bookworm-slim AS shell
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static
COPY container /container
RUN install -D /bin/busybox /image/bin/busybox \
    && for name in $(busybox --list); do ln -s busybox "/image/bin/$name"; done \
    && install -d /image/usr/bin && ln -s /bin/env /image/usr/bin/env \
    && install -m 755 /container/bash /image/bin/bash \
    && install -D -m 755 /container/entrypoint /image/usr/local/bin/entrypoint \
    && install -D -m 755 /container/run /image/etc/kafka/docker/run \
    && install -d /image/opt && install -d -m 775 /owned/kafka

# Scripts that start Kafka's image find what they need of it here: a shell, and /etc/kafka/docker/run.
FROM minimal
COPY --from=shell /image /
COPY --from=shell --chown=1000:0 /owned /opt
ENTRYPOINT ["/usr/local/bin/entrypoint"]
