# CTLR for processors: the pods of a pipeline and trials on nodes without a GPU. 1.6 GB unpacked, 0.5 GB to pull.
#   make images ENGINE=podman          or: docker build -f images/cpu.Dockerfile -t ctlr/ctlr-cpu:0.1.0 .
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
    /opt/ctlr/bin/python requirements.py cluster tracking ui > requirements.txt \
    && /opt/ctlr/bin/pip install --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY benchmarks benchmarks
COPY katib katib
COPY src src
COPY images/trim.sh ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /opt/ctlr/bin/pip install --no-deps '.[cluster,tracking,ui]' && /opt/ctlr/bin/pip check \
    && sh trim.sh /opt/ctlr

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ctlr-cpu" \
      org.opencontainers.image.description="CTLR, a benchmark of transfer-learning methods, for processors" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin ctlr \
    && install --directory --mode=1777 /workspace
COPY --from=build /opt/ctlr /opt/ctlr
WORKDIR /srv/ctlr
COPY benchmarks benchmarks
COPY katib katib
# Whatever writes goes to /tmp or the workspace: the root file system may be read-only. USER is set because some
# packages ask for the name of the user, and an arbitrary uid has none.
ENV PATH=/opt/ctlr/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp/matplotlib USER=ctlr LOGNAME=ctlr \
    CTLR_WORKSPACE=/workspace
USER 10001
ENTRYPOINT ["ctlr"]
