# syntax=docker/dockerfile:1
# The service as an image: the program, the authorities that TLS trusts, and nothing that could be broken into: no shell, no package
# manager. What runs in it needs neither root nor a writable file but below its state and a folder vault.
#
# Distroless is the base because it is the smallest that has glibc (some 12 MiB packed, the program as much again). Hooks are programs, and
# it has none: where they are shell scripts, build with `--build-arg BASE=debian:12-slim` (some 28 MiB packed), which brings /bin/sh and
# Debian's commands, and copy the scripts in behind it.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev libclang-14-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Line tables are left out of the image: a stack trace in it has names without line numbers.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p coffer \
    && mkdir -p /out/data \
    && strip --strip-debug -o /out/coffer target/release/coffer

FROM ${BASE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/coffer /usr/local/bin/coffer
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
EXPOSE 8484
ENTRYPOINT ["/usr/local/bin/coffer"]
CMD ["serve"]
