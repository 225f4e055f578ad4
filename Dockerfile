# syntax=docker/dockerfile:1
# The site as an image: one binary, one data directory, nobody's root.
#
#   docker build -t seedbank .
#   docker run -p 127.0.0.1:3000:3000 -v seedbank:/data seedbank

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY src src
COPY migrations migrations
COPY templates templates
COPY static static
# The caches stay with the builder, so the binary is taken out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin seedbank \
    && cp target/dist/seedbank /usr/local/bin/seedbank

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /data seedbank \
    && install -d -o seedbank -g seedbank -m 750 /data
COPY --from=build /usr/local/bin/seedbank /usr/local/bin/seedbank
ENV SEEDBANK__SERVER__LISTEN=0.0.0.0:3000 \
    SEEDBANK__SERVER__DATA_DIR=/data
USER seedbank
WORKDIR /data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["seedbank", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["seedbank"]
CMD ["serve"]
