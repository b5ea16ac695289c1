# The command in a container.
#   docker build -t watchkeeper . && docker run --rm -v "$PWD:/logs:ro" watchkeeper judge /logs
#   docker build -t watchkeeper-sensor --target sensor .
#   docker run --rm --privileged --pid=host --cgroupns=host --read-only --tmpfs /tmp -v watchkeeper:/var/lib/watchkeeper \
#     -v /etc/passwd:/etc/passwd:ro -v /run/containerd:/run/containerd:ro -v /var/lib/docker/containers:/var/lib/docker/containers:ro watchkeeper-sensor
# The sensor runs as root: the kernel takes programs from nobody else. It gives up what it does not need once they are loaded, and has no network of its
# own to serve. Folders of container runtimes are mounted where they are on the host: names and images of containers are read there.
# (Podman and CRI-O: /run/containers and /var/lib/containers.) `docker run … watchkeeper-sensor doctor` says what it can see.
FROM debian:bookworm-slim AS bpf
RUN apt-get update && apt-get install -y --no-install-recommends bpftool clang-14 libbpf-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY sensor/bpf sensor/bpf
RUN mkdir -p sensor/watchkeeper_sensor && make -C sensor/bpf

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/watchkeeper && /opt/watchkeeper/bin/pip install --no-cache-dir --no-compile --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY operator operator
COPY sensor sensor
COPY cli cli
COPY --from=bpf /src/build/bpf/sensor.bpf.o sensor/watchkeeper_sensor/
# Whole seconds, and code that is not compared with its source again: what is checked here is known to have been checked wherever the image runs.
RUN /opt/watchkeeper/bin/pip install --no-cache-dir --no-compile --no-deps . && /opt/watchkeeper/bin/pip uninstall -y pip \
 && find /opt/watchkeeper/lib -name '*.py' -exec touch -d @1735689600 {} + \
 && /opt/watchkeeper/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/watchkeeper/lib

FROM python:3.13-slim-bookworm AS sensor
RUN apt-get update && apt-get install -y --no-install-recommends libbpf1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/watchkeeper /opt/watchkeeper
ENV PATH=/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/opt/watchkeeper/cache PYTHONDONTWRITEBYTECODE=1
# Checks the library once, so that no start has to: that takes six seconds.
RUN watchkeeper explain linux-reverse-shell >/dev/null
VOLUME /var/lib/watchkeeper
ENTRYPOINT ["watchkeeper"]
CMD ["up"]

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin watchkeeper
COPY --from=build /opt/watchkeeper /opt/watchkeeper
ENV PATH=/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/tmp/cache PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /logs
ENTRYPOINT ["watchkeeper"]
CMD ["--help"]
