# syntax=docker/dockerfile:1
FROM python:3.11-slim AS packages
RUN python -m venv /venv
COPY requirements.txt requirements-tracing.txt ./
# on: with OpenTelemetry's packages, for OTEL_EXPORTER_OTLP_ENDPOINT.
ARG TRACING=off
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt \
    $(test "$TRACING" = off || echo -r requirements-tracing.txt)

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/venv/bin:$PATH
RUN useradd --uid 10001 --create-home airy
COPY --from=packages /venv /venv
WORKDIR /app
# What is to run, by name: nothing else that lies in the folder can get into the image, a .env least of all.
COPY manage.py LICENSE ./
COPY airy airy
COPY events events
COPY feeds feeds
COPY notifications notifications
# Starts the application once: all its parts are there, and its static files are hashed and compressed.
RUN SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(60))') python -c 'import airy.asgi' && chown -R airy var
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["uvicorn", "airy.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--timeout-graceful-shutdown", "10"]
