"""Prints new secrets for docker-compose.yml, as lines of a .env file: python3 deploy/new_secrets.py >> .env"""

import secrets
import sys

for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "MQ_PASSWORD", "REDIS_PASSWORD"):
    sys.stdout.write(f"{name}={secrets.token_urlsafe(60 if name == 'SECRET_KEY' else 32)}\n")
