# MLflow's server with what a cluster's installation needs beside it: PostgreSQL's driver, S3, accounts. 0.9 GB, 0.3 GB to pull.
#   make images ENGINE=podman          or: docker build -f images/mlflow.Dockerfile -t ctlr/mlflow:0.1.0 .
# Any Debian or Ubuntu image with Python 3.11 and venv may be the base: --build-arg BASE=registry.example.org/python:3.11.
ARG BASE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# Behind a proxy: a pip.conf and a certificate of your own come as build secrets (docs/platform.md).
RUN python3 -m venv /opt/ctlr
COPY constraints.txt images/mlflow.txt images/trim.sh ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/ctlr/bin/pip install --constraint constraints.txt --requirement mlflow.txt && /opt/ctlr/bin/pip check \
    && sh trim.sh /opt/ctlr

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mlflow" \
      org.opencontainers.image.description="MLflow's server for CTLR, with PostgreSQL, S3 and accounts" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin mlflow
COPY --from=build /opt/ctlr /opt/ctlr
WORKDIR /srv/mlflow
ENV PATH=/opt/ctlr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp/matplotlib USER=mlflow LOGNAME=mlflow
USER 10001
EXPOSE 5000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "\
import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["mlflow"]
CMD ["server", "--host", "0.0.0.0", "--port", "5000"]
