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

# The command itself, apart from what it needs: a change of ours rebuilds a small layer.
FROM ${PYTHON} AS own
ARG OFFLINE=
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY LICENSE build/imag[e]/own/* image/
COPY policies policies
COPY operator operator
COPY sensor sensor
COPY cli cli
COPY manifests/base/admission manifests/base/admission
COPY --from=bpf /src/build/bpf/sensor.bpf.o sensor/watchkeeper_sensor/
# Whole seconds, and code that is not compared with its source again: what is checked here is known to have been checked wherever the image runs.
RUN python3 -m venv /opt/watchkeeper \
 && if [ -z "$OFFLINE" ]; then /opt/watchkeeper/bin/pip wheel --no-cache-dir --no-deps --wheel-dir image .; fi \
 && /opt/watchkeeper/bin/pip install --no-cache-dir --no-compile --no-deps --no-index --target /own image/watchkeeper-*.whl \
 && find /own -name '*.py' -exec touch -d @1735689600 {} + \
 && /opt/watchkeeper/bin/python3 -m compileall -q -s /own -p /opt/watchkeeper/own --invalidation-mode unchecked-hash /own

FROM ${PYTHON} AS needs-sensor
ARG OFFLINE=
COPY requirements-sensor.lock build/imag[e]/wheels/* /wheels/
RUN python3 -m venv /opt/watchkeeper \
 && /opt/watchkeeper/bin/pip install --no-cache-dir --no-compile --no-deps ${OFFLINE:+--no-index --find-links /wheels} -r /wheels/requirements-sensor.lock \
 && cd /opt/watchkeeper/lib/python3.*/site-packages && rm -rf pip* setuptools* /opt/watchkeeper/bin/pip* && echo /opt/watchkeeper/own > own.pth \
 && python3 -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON} AS needs-operator
ARG OFFLINE=
COPY requirements.lock build/imag[e]/wheels/* /wheels/
RUN python3 -m venv /opt/watchkeeper \
 && /opt/watchkeeper/bin/pip install --no-cache-dir --no-compile --no-deps ${OFFLINE:+--no-index --find-links /wheels} -r /wheels/requirements.lock \
 && cd /opt/watchkeeper/lib/python3.*/site-packages && rm -rf pip* setuptools* /opt/watchkeeper/bin/pip* && echo /opt/watchkeeper/own > own.pth \
 && python3 -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON} AS sensor
ARG OFFLINE=
RUN [ -n "$OFFLINE" ] || { apt-get update && apt-get install -y --no-install-recommends libbpf1 && rm -rf /var/lib/apt/lists/*; }
ENV PATH=/opt/watchkeeper/own/bin:/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/opt/watchkeeper/cache PYTHONDONTWRITEBYTECODE=1
COPY --from=needs-sensor /opt/watchkeeper /opt/watchkeeper
COPY --from=own /own /opt/watchkeeper/own
# Checks the library once, so that no start has to: that takes six seconds.
RUN watchkeeper explain linux-reverse-shell >/dev/null
VOLUME /var/lib/watchkeeper
ENTRYPOINT ["watchkeeper"]
CMD ["up"]

FROM ${PYTHON} AS operator
RUN useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin watchkeeper
# One heap for all threads, and what is free goes back to the system: 20 MiB less of each process.
ENV PATH=/opt/watchkeeper/own/bin:/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/tmp/cache PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072
COPY --from=needs-operator /opt/watchkeeper /opt/watchkeeper
COPY --from=own /own /opt/watchkeeper/own
USER 65532:65532
WORKDIR /logs
ENTRYPOINT ["watchkeeper"]
CMD ["--help"]
