"""The ASGI application: HTTP by Django, websockets by Channels, both behind the gate."""

import os
import sys
from multiprocessing import current_process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")
os.environ.setdefault("PGAPPNAME", "airy web")  # `manage.py up` has named its sessions already

if current_process().name == "MainProcess":  # started by uvicorn itself
    current_process().name = "web"

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # sets up Django, which the imports below need

from channels.routing import ProtocolTypeRouter

from airy.beating import beating
from airy.freeze import freeze
from airy.gate.connections import bound_servers
from airy.gate.gate import Application, Gate
from airy.measured import Measured
from airy.origins import SameSiteOnly
from events import tracing
from notifications.live.draining import lifespan
from notifications.live.routing import websockets

#: Seconds after which a thread lets another one run. With Python's own 5 ms, each thread that reads from the database
#: keeps the event loop, and everybody's notes with it, waiting for so long.
sys.setswitchinterval(0.001)

tracing.begin("web")
bound_servers()
gate = Gate(
    ProtocolTypeRouter(
        {
            "http": http,
            "websocket": SameSiteOnly(websockets),
            "lifespan": beating(lifespan),
        }
    )
)
application: Application = Measured(gate)
if tracing.spans is not None:
    from airy.tracing import TracedRequests

    application = TracedRequests(application, tracing.spans.tracer)
freeze()
