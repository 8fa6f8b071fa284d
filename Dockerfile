# syntax=docker/dockerfile:1
# The gateway with its CPU engine. Model weights stay outside: mount them at /ajar/models, or pull them there once with
#   docker run --rm -v ajar-models:/ajar/models ajar models pull smollm2-135m

FROM rust:1.95-bookworm AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends clang cmake libclang-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin ajar \
 && install -D target/release/ajar /out/ajar

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /ajar --shell /usr/sbin/nologin ajar \
 && install -d -o ajar -g ajar /ajar /ajar/data /ajar/models
COPY --from=build /out/ajar /usr/local/bin/ajar
COPY config /ajar/config
COPY policies /ajar/policies
WORKDIR /ajar
USER 10001
VOLUME ["/ajar/data", "/ajar/models"]
# Inside a container the host's loopback is not reachable; what is published is the operator's choice. 8081 should not be.
ENV AJAR__SERVER__LISTEN=0.0.0.0:8080 \
    AJAR__SERVER__OPERATOR=127.0.0.1:8081
EXPOSE 8080
# Bash opens the socket itself, so that the image needs no HTTP client.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["bash", "-c", \
  "exec 3<>/dev/tcp/127.0.0.1/8081 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r -t 2 _ status _ <&3 && [[ $status == 200 ]]"]
ENTRYPOINT ["ajar"]
CMD ["serve", "--config", "config/ajar.yaml"]
