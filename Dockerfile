# The command in a container: docker run --rm -v "$PWD:/logs:ro" watchkeeper judge /logs
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/watchkeeper && /opt/watchkeeper/bin/pip install --no-cache-dir --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY operator operator
COPY cli cli
RUN /opt/watchkeeper/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 65532 --no-create-home --shell /usr/sbin/nologin watchkeeper
COPY --from=build /opt/watchkeeper /opt/watchkeeper
ENV PATH=/opt/watchkeeper/bin:$PATH XDG_CACHE_HOME=/tmp/cache PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /logs
ENTRYPOINT ["watchkeeper"]
CMD ["--help"]
