# A trained model behind HTTP: `ctlr serve` on a model's folder, mounted at /mnt/models. Without MLflow and Kubeflow's client.
#   make images ENGINE=podman          or: docker build -f images/serving.Dockerfile -t ctlr/ctlr-serving:0.1.0 .
# Any Debian or Ubuntu image with Python 3.11 and venv may be the base: --build-arg BASE=registry.example.org/python:3.11.
ARG BASE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# Behind a proxy: a pip.conf and a certificate of your own come as build secrets (docs/platform.md).
RUN python3 -m venv /opt/ctlr
COPY constraints.txt ./
# torch first and from its own index: the default one's build brings gigabytes of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/ctlr/bin/pip install --constraint constraints.txt --index-url "${TORCH_INDEX}" torch torchvision
RUN /opt/ctlr/bin/python -c "import torch; raise SystemExit(\
    torch.version.cuda and 'TORCH_INDEX has CUDA builds: name a mirror of .../whl/cpu')"
COPY images/requirements.py pyproject.toml ./
# What CTLR needs, in a layer of its own: a change of the sources leaves it as it is.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/ctlr/bin/python requirements.py serve > requirements.txt \
    && /opt/ctlr/bin/pip install --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY src src
COPY images/trim.sh ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/ctlr/bin/pip install --no-deps '.[serve]' && /opt/ctlr/bin/pip check \
    && sh trim.sh /opt/ctlr

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ctlr-serving" \
      org.opencontainers.image.description="A model that CTLR trained, behind the open inference protocol" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin ctlr \
    && install --directory --mode=0755 /mnt/models
COPY --from=build /opt/ctlr /opt/ctlr
WORKDIR /srv/ctlr
# Uploads wait in /tmp; nothing else is written, and nothing is fetched.
ENV PATH=/opt/ctlr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp/matplotlib USER=ctlr LOGNAME=ctlr
USER 10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/v2/health/ready', timeout=4)"]
ENTRYPOINT ["ctlr", "serve"]
CMD ["/mnt/models", "--host", "0.0.0.0"]
