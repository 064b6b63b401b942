"""The JSON API under /api/: who may ask, how often, and how errors are answered; the routers are the apps' own."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from airy.me import router as me
from airy.refusals import answer_refusals
from feeds.api import router as feeds
from feeds.api.auth import SIGNED_IN
from feeds.api.schemas.shape import Problem
from feeds.api.throttle import Throttle
from notifications.api import router as notifications

DESCRIPTION = """
Programs send `Authorization: Bearer <token>`. Browsers send the session cookie and, to change something,
the CSRF token.
Anyone can read public content. A list is a page `{"items": […], "next_cursor": …}`; send `cursor` to get the next page.
Errors are `{"detail": "…"}`: 401 not signed in, 403 not allowed, 404 not found, 409 already taken, 413 too large,
422 not valid (with `fields`), 429 too many requests (with `Retry-After`).
You can safely repeat PUT and DELETE of a vote, follow, membership, block or mute.
"""

REFUSED = {"$ref": "#/components/schemas/Problem"}


class Api(NinjaAPI):
    """django-ninja's, whose description tells of every route that it may refuse, and how."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        for operation in (one for path in schema["paths"].values() for one in path.values()):
            operation["responses"]["4XX"] = {
                "description": "Refused",
                "content": {"application/json": {"schema": REFUSED}},
            }
        return schema


api = Api(
    title="Airy",
    description=DESCRIPTION,
    urls_namespace="api",
    auth=SIGNED_IN,
    throttle=[Throttle()],
)
api.add_router("", feeds)
api.add_router("", notifications)
api.add_router("", me)
answer_refusals(api)
