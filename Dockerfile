# Two images of one command.
#   docker build -t watchkeeper .                            watchkeeper operator, collector, judge …: user 65532, no compilers, nothing written but /tmp
#   docker build -t watchkeeper-sensor --target sensor .     watchkeeper sensor, up: has libbpf and the programs for the kernel
#   docker run --rm -v "$PWD:/logs:ro" watchkeeper judge /logs
#   docker run --rm --privileged --pid=host --cgroupns=host --read-only --tmpfs /tmp -v watchkeeper:/var/lib/watchkeeper \
#     -v /etc/passwd:/etc/passwd:ro -v /run/containerd:/run/containerd:ro -v /var/lib/docker/containers:/var/lib/docker/containers:ro watchkeeper-sensor up
# The sensor runs as root: the kernel takes programs from nobody else. It gives up what it does not need once they are loaded, and has no network of its
# own to serve. Folders of container runtimes are mounted where they are on the host: names and images of containers are read there.
# (Podman and CRI-O: /run/containers and /var/lib/containers.) `docker run … watchkeeper-sensor doctor` says what it can see.
# Where nothing can be fetched (OFFLINE=1): build/image holds what `make images` put there, wheels and the programs for the kernel.
ARG DEBIAN=debian:bookworm-slim
ARG PYTHON=python:3.13-slim-bookworm

FROM ${DEBIAN} AS bpf
ARG OFFLINE=
WORKDIR /src
COPY sensor/bpf sensor/bpf
COPY LICENSE build/imag[e]/sensor.bpf.o image/
RUN mkdir -p sensor/watchkeeper_sensor build/bpf \
 && if [ -n "$OFFLINE" ]; then cp image/sensor.bpf.o build/bpf/; \
    else apt-get update && apt-get install -y --no-install-recommends bpftool clang-14 libbpf-dev make && make -C sensor/bpf; fi

FROM ${PYTHON} AS wheels
ARG OFFLINE=
WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY LICENSE build/imag[e]/wheels/* /wheels/
COPY policies policies
COPY operator operator
COPY sensor sensor
COPY cli cli
COPY --from=bpf /src/build/bpf/sensor.bpf.o sensor/watchkeeper_sensor/
RUN rm /wheels/LICENSE && python3 -m venv /opt/build \
 && if [ -z "$OFFLINE" ]; then /opt/build/bin/pip wheel --no-cache-dir --wheel-dir /wheels --constraint requirements.lock '.[operator,sensor,parquet]'; fi

# Whole seconds, and code that is not compared with its source again: what is checked here is known to have been checked wherever the image runs.
FROM wheels AS build-sensor
RUN python3 -m venv /opt/watchkeeper && /opt/watchkeeper/bin/pip install --no-cache-dir --no-compile --no-index --find-links /wheels 'watchkeeper[sensor]' \
 && rm -rf /opt/watchkeeper/lib/python3.*/site-packages/pip* /opt/watchkeeper/lib/python3.*/site-packages/setuptools* /opt/watchkeeper/bin/pip* \
 && find /opt/watchkeeper/lib -name '*.py' -exec touch -d @1735689600 {} + \
 && /opt/watchkeeper/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /opt/watchkeeper/lib

FROM wheels AS build-operator
RUN python3 -m venv /opt/watchkeeper && /opt/watchkeeper/bin/pip install --no-cache-dir --no-compile --no-index --find-links /wheels 'watchkeeper[operator,parquet]' \
 && rm -rf /opt/watchkeeper/lib/python3.*/site-packages/pip* /opt/watchkeeper/lib/python3.*/site-packages/setuptools* /opt/watchkeeper/bin/pip* \
    /opt/watchkeeper/lib/python3.*/site-packages/watchkeeper_sensor/sensor.bpf.o \
 && find /opt/watchkeeper/lib -name '*.py' -exec touch -d @1735689600 {} + \
 && /opt/watchkeeper/bin/python3 -m compileall -q --invalidation-mode unchecked-hash /opt/watchkeeper/lib

FROM ${PYTHON} AS sensor
ARG OFFLINE=
RUN [ -n "$OFFLINE" ] || { apt-get update && apt-get install -y --no-install-recommends libbpf1 && rm -rf /var/lib/apt/lists/*; }
COPY --from=build-sensor /opt/watchkeeper /opt/watchkeeper
ENV PATH=/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/opt/watchkeeper/cache PYTHONDONTWRITEBYTECODE=1
# Checks the library once, so that no start has to: that takes six seconds.
RUN watchkeeper explain linux-reverse-shell >/dev/null
VOLUME /var/lib/watchkeeper
ENTRYPOINT ["watchkeeper"]
CMD ["up"]

FROM ${PYTHON} AS operator
RUN useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin watchkeeper
COPY --from=build-operator /opt/watchkeeper /opt/watchkeeper
ENV PATH=/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/tmp/cache PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /logs
ENTRYPOINT ["watchkeeper"]
CMD ["--help"]
