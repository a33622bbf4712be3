# syntax=docker/dockerfile:1

FROM rust:1.95.0-slim-bookworm AS build
# librdkafka and its OpenSSL are built from source and linked in.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Both caches outlive a change of the source: only what changed is fetched and compiled again.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --bin kafka-redis-bridge \
    && install -D --strip target/release/kafka-redis-bridge /out/kafka-redis-bridge

FROM debian:12.12-slim
LABEL org.opencontainers.image.title="kafka-redis-bridge" \
      org.opencontainers.image.description="Tails Kafka topics as a consumer group and publishes lightweight notifications to Redis" \
      org.opencontainers.image.licenses="Apache-2.0"
# The certificate authorities of the public web, for TLS to Kafka and Redis.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/kafka-redis-bridge /usr/local/bin/kafka-redis-bridge
COPY LICENSE /usr/share/doc/kafka-redis-bridge/LICENSE
# Loopback, the program's own default, is of no use inside a container.
ENV KAFKA_REDIS_BRIDGE__HTTP__LISTEN=0.0.0.0:9464
USER 65532:65532
EXPOSE 9464
STOPSIGNAL SIGTERM
# Alive means that the poll loop turns; an outage of Kafka or Redis doesn't make a container unhealthy. The image has no
# HTTP client, so bash speaks the protocol itself. Follows http.listen where the environment sets it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${KAFKA_REDIS_BRIDGE__HTTP__LISTEN##*:} && printf 'GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r -t 2 line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["/usr/local/bin/kafka-redis-bridge"]
CMD ["run"]
