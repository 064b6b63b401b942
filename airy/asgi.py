"""The ASGI application: HTTP by Django, websockets by Channels."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")
os.environ.setdefault("PGAPPNAME", "airy web")  # `manage.py up` has named its sessions already

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # sets up Django, which the imports below need

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter

from airy.origins import SameSiteOnly
from notifications.live.draining import lifespan
from notifications.live.routing import websockets

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": SameSiteOnly(AuthMiddlewareStack(websockets)),
        "lifespan": lifespan,
    }
)
