"""The ASGI application: HTTP by Django, websockets by Channels."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
