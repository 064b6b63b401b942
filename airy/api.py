"""API: the JSON API under /api/: authentication, limits and answers to errors; the routers are those of the apps."""

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
    """django-ninja's API, whose OpenAPI document has a 4XX answer for every route."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The OpenAPI document."""
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
