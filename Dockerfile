FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt && useradd --uid 10001 --create-home airy
# What is to run, by name: nothing else that lies in the folder can get into the image, a .env least of all.
COPY manage.py LICENSE ./
COPY airy airy
COPY events events
COPY feeds feeds
COPY notifications notifications
# Starts the application once: all its parts are there, and its static files are compressed.
RUN SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(60))') python -c 'import airy.asgi' && chown -R airy var
USER 10001
EXPOSE 8000
CMD ["uvicorn", "airy.asgi:application", "--host", "0.0.0.0", "--port", "8000"]
