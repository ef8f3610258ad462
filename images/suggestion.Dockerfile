# CTLR's suggestion service for a cluster's Katib; without torch. 0.4 GB unpacked, 0.15 GB to pull.
#   make images ENGINE=podman          or: docker build -f images/suggestion.Dockerfile -t ctlr/ctlr-suggestion:0.1.0 .
# Any Debian or Ubuntu image with Python 3.11 and venv may be the base: --build-arg BASE=registry.example.org/python:3.11.
ARG BASE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# Behind a proxy: a pip.conf and a certificate of your own come as build secrets (docs/platform.md).
RUN python3 -m venv /opt/ctlr
COPY constraints.txt ./
# What the samplers and the service import. All that `ctlr` declares would bring torch, which they never load.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/ctlr/bin/pip install --constraint constraints.txt \
    numpy scipy optuna cmaes threadpoolctl google-re2 pydantic ruamel.yaml click rich rich-click grpcio protobuf
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY images/trim.sh ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/ctlr/bin/pip install --no-deps . && sh trim.sh /opt/ctlr

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ctlr-suggestion" \
      org.opencontainers.image.description="CTLR's search algorithms as a suggestion service for Katib" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin ctlr
COPY --from=build /opt/ctlr /opt/ctlr
WORKDIR /srv/ctlr
ENV PATH=/opt/ctlr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp TMPDIR=/tmp USER=ctlr LOGNAME=ctlr
USER 10001
EXPOSE 6789
# gRPC's health check as Katib asks it: an empty request, and `status: SERVING` in two bytes.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "\
import grpc; \
ask = grpc.insecure_channel('127.0.0.1:6789').unary_unary('/grpc.health.v1.Health/Check'); \
raise SystemExit(ask(b'', timeout=4) != b'\\x08\\x01')"]
ENTRYPOINT ["ctlr", "suggest"]
