# CTLR's suggestion service for a cluster's Katib; without torch, about 0.5 GB.
#   docker build -f images/suggestion.Dockerfile -t ctlr/ctlr-suggestion:0.1.0 .
# Any image with Python 3.11 and venv may be the base, e.g. --build-arg BASE=registry.example.org/python:3.11.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python3 -m venv /opt/ctlr
COPY constraints.txt ./
# What the samplers and the service import. All that `ctlr` declares would bring torch, which they never load.
RUN /opt/ctlr/bin/pip install -c constraints.txt \
    numpy scipy optuna cmaes threadpoolctl pydantic ruamel.yaml click rich rich-click grpcio protobuf
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/ctlr/bin/pip install --no-deps . \
    && find /opt/ctlr -name __pycache__ -prune -exec rm -r {} +

FROM ${BASE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ctlr
COPY --from=build /opt/ctlr /opt/ctlr
ENV PATH=/opt/ctlr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 6789
# gRPC's health check as Katib asks it: an empty request, and `status: SERVING` in two bytes.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "\
import grpc; \
ask = grpc.insecure_channel('127.0.0.1:6789').unary_unary('/grpc.health.v1.Health/Check'); \
raise SystemExit(ask(b'', timeout=4) != b'\\x08\\x01')"]
ENTRYPOINT ["ctlr", "suggest"]
