# The image of Pravah; API, workers, migrations and the command line are one. `make image` builds it.
#
#   BASE         runs it: Python 3.11 or newer with venv and pip, on glibc
#   BUILD_BASE   compiles the core: cargo, and a glibc no newer than BASE's
#
# Packages come from the registries that the bases are set up for. The core is the release build.

ARG BASE=python:3.13-slim-bookworm
ARG BUILD_BASE=rust:1.95-slim-bookworm


FROM ${BUILD_BASE} AS core
WORKDIR /build
RUN command -v cc && python3 -c 'import ensurepip, venv' || ( \
        apt-get update && \
        apt-get install --yes --no-install-recommends gcc libc6-dev python3-venv && \
        rm -rf /var/lib/apt/lists/* )
RUN python3 -m venv /tools && \
    /tools/bin/pip install --no-cache-dir 'maturin>=1.9.4,<2' 'pdm[locked]==2.29.3'
# Minutes, and the same whatever changes in Python.
COPY pravah_core pravah_core
RUN PYO3_BUILD_EXTENSION_MODULE=1 cargo build --manifest-path pravah_core/python/Cargo.toml --release --locked --lib
COPY pyproject.toml pdm.lock ./
RUN mkdir /wheels && \
    PDM_USE_VENV=false /tools/bin/pdm export --prod --format requirements --output /wheels/requirements.txt
COPY LICENSE README.md ./
COPY src src
RUN /tools/bin/maturin build --profile release --locked --out /wheels


# On the base that runs it: a virtual environment belongs to its interpreter.
FROM ${BASE} AS packages
COPY --from=core /wheels /wheels
RUN python3 -m venv /opt/pravah && \
    /opt/pravah/bin/pip install --no-cache-dir --require-hashes --no-deps \
        --requirement /wheels/requirements.txt && \
    /opt/pravah/bin/pip install --no-cache-dir --no-deps /wheels/*.whl && \
    /opt/pravah/bin/pip uninstall --yes pip setuptools


FROM ${BASE}
LABEL org.opencontainers.image.title="Pravah" \
      org.opencontainers.image.description="Runs a pipeline of steps over millions of files as one durable job" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 pravah && \
    useradd --uid 10001 --gid pravah --no-create-home --home-dir /var/lib/pravah pravah && \
    mkdir -p /data /var/lib/pravah && \
    chown pravah:pravah /data /var/lib/pravah
COPY --from=packages /opt/pravah /opt/pravah
# What lies in /data is somebody's data: a `.env` there is no setting of this service.
ENV PATH=/opt/pravah/bin:$PATH \
    PRAVAH_HOME=/var/lib/pravah \
    PRAVAH_ENV_FILE= \
    PRAVAH_ALLOWED_ROOTS=/data \
    APP_HOST=0.0.0.0 \
    APP_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/var/lib/pravah"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as web; web.urlopen(f\"http://127.0.0.1:{os.environ['APP_PORT']}/livez\", timeout=4)"]
ENTRYPOINT ["pravah"]
CMD ["serve"]
