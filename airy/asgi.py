"""The ASGI application: HTTP by Django, websockets by Channels, both behind the gate."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")
os.environ.setdefault("PGAPPNAME", "airy web")  # `manage.py up` has named its sessions already

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # sets up Django, which the imports below need

from channels.routing import ProtocolTypeRouter

from airy.freeze import freeze
from airy.gate.connections import bound_servers
from airy.gate.gate import Gate
from airy.origins import SameSiteOnly
from notifications.live.draining import lifespan
from notifications.live.routing import websockets

bound_servers()
application = Gate(
    ProtocolTypeRouter(
        {
            "http": http,
            "websocket": SameSiteOnly(websockets),
            "lifespan": lifespan,
        }
    )
)
freeze()
