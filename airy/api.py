"""API: the JSON API under /api/: authentication, limits and answers to errors; the routers are those of the apps."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from airy.document import Document
from airy.export import router as export
from airy.me import router as me
from airy.refusals import answer_refusals
from airy.rules import described
from feeds.api import router as feeds
from feeds.api.auth import SIGNED_IN
from notifications.api import router as notifications

DESCRIPTION = """
Programs send `Authorization: Bearer <token>`. Browsers send the session cookie and, to change something,
the CSRF token. A token needs the scope `read` for GET and HEAD, and `write` for all else; it ends when the password
changes. What changes the account, its sessions or its tokens needs a session: a token gets 403.
Anyone can read public content. A list is a page `{"items": […], "next_cursor": …}`; send `cursor` to get the next page.
Signing in to an account with a second factor takes `code`: without it the answer is 401 with `fields.code`.
Errors are `{"detail": "…"}`: 401 not signed in, 403 not allowed, 404 not found, 409 already taken, 413 too large,
422 not valid (with `fields`), 429 too many requests (with `Retry-After`). Each operation lists those that it can answer
with; besides, an address takes only its own methods (405).
You can safely repeat PUT and DELETE of a vote, follow, membership, block or mute.
"""

RULES = f"""
What the schemas allow may still be refused, by one of these rules. `x-rules` of a field and of an operation names them:

{described()}
"""


class Api(NinjaAPI):
    """django-ninja's API, whose OpenAPI document lists the refusals of every operation."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """The OpenAPI document."""
        return Document(self, self.get_root_path(path_params or {}) if path_prefix is None else path_prefix)


api = Api(
    title="Airy",
    description=DESCRIPTION + RULES,
    urls_namespace="api",
    auth=SIGNED_IN,
)
api.add_router("", feeds)
api.add_router("", notifications)
api.add_router("", me)
api.add_router("", export)
answer_refusals(api)
