# A server: docker build -t gradproof . ; the arguments of `docker run gradproof ...` are those of `gradproof serve`.
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/gradproof
COPY pyproject.toml README.md LICENSE ./
COPY proto proto
COPY engine engine
COPY server server
COPY plugins plugins
COPY clients clients
RUN /opt/gradproof/bin/pip install --no-cache-dir '.[server,otel]'

FROM python:3.11-slim
RUN groupadd --gid 10001 gradproof \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin gradproof \
 && install -d -o gradproof -g gradproof -m 0700 /var/cache/gradproof
COPY --from=build /opt/gradproof /opt/gradproof
ENV PATH=/opt/gradproof/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/cache/gradproof \
    GRADPROOF_CACHE=/var/cache/gradproof/proofs
USER 10001:10001
VOLUME /var/cache/gradproof
EXPOSE 50551 9464
# Probes the port of --metrics-port: keep it at 9464, or give another HEALTHCHECK.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["gradproof", "serve"]
CMD ["--host=0.0.0.0", "--log-format=json", "--metrics-port=9464"]
