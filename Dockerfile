# The command in a container.
#   docker build -t watchkeeper . && docker run --rm -v "$PWD:/logs:ro" watchkeeper judge /logs
#   docker build -t watchkeeper-sensor --target sensor . && docker run --rm --privileged --pid=host watchkeeper-sensor up
FROM debian:bookworm-slim AS bpf
RUN apt-get update && apt-get install -y --no-install-recommends bpftool clang-14 libbpf-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY sensor sensor
RUN make -C sensor/bpf

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/watchkeeper && /opt/watchkeeper/bin/pip install --no-cache-dir --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY operator operator
COPY sensor sensor
COPY cli cli
RUN /opt/watchkeeper/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim AS sensor
RUN apt-get update && apt-get install -y --no-install-recommends libbpf1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/watchkeeper /opt/watchkeeper
COPY --from=bpf /src/sensor/watchkeeper_sensor/sensor.bpf.o /opt/watchkeeper/lib/python3.13/site-packages/watchkeeper_sensor/
ENV PATH=/opt/watchkeeper/bin:$PATH PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["watchkeeper"]
CMD ["up"]

FROM python:3.13-slim
RUN useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin watchkeeper
COPY --from=build /opt/watchkeeper /opt/watchkeeper
ENV PATH=/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/tmp/cache PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /logs
ENTRYPOINT ["watchkeeper"]
CMD ["--help"]
