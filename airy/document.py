"""Document: the OpenAPI document of the API: what each operation takes, and with which statuses it refuses.

Nobody lists the statuses of an operation by hand. They follow from how it authenticates, from its parameters and its
body, and from the rules of its fields (`x-rules`); what only its function knows is in its `response`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from airy.rules import RULES
from feeds.api.auth import Session, Token, anonymous, no_token, visitor_of_this_site
from feeds.api.schemas.shape import Problem

#: The statuses with which each way to authenticate refuses. A visitor may ask where one of VISITORS stands.
REFUSED_BY_AUTH: dict[object, set[int]] = {
    Token: {401, 403},
    Session: {401, 403},
    no_token: {401, 403},
    visitor_of_this_site: {403},
    anonymous: set(),
}
VISITORS = (anonymous, visitor_of_this_site)
REFUSED_BY_LIMITS = {429}
#: Not JSON; not valid.
REFUSED_WITH_BODY = {400, 422}
#: What may bring a body, also where none is asked for: too slow; too large. And a POST a form, in which a session looks
#: for the CSRF token: one that cannot be read.
REFUSED_BY_METHOD = {"GET": set[int](), "POST": {400, 408, 413}}
REFUSED_BY_OTHER_METHODS = {408, 413}
#: A parameter that is not valid: in a query string it is refused, in a path it is the address of nothing.
REFUSED_WITH_PARAMETER = {"query": 422, "path": 404}
MEANINGS = {
    400: "The body cannot be read: it is not JSON, or a form that is broken.",
    401: "Not signed in.",
    403: "Not allowed.",
    404: "There is no such thing.",
    408: "The body took too long to arrive.",
    409: "It conflicts with the current state.",
    413: "The body is too large.",
    422: "A value is not valid.",
    429: "Too many requests.",
}
_BODY = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds until it is allowed again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


class Document(OpenAPISchema):
    """django-ninja's document, with all refusals of each operation."""

    def get_components(self) -> dict[str, Any]:
        """The schemas, and that of a refusal."""
        components: dict[str, Any] = super().get_components()
        components["schemas"]["Problem"] = Problem.model_json_schema()
        _drop_empty_defaults(components["schemas"].values())
        return components

    def operation_parameters(self, operation: Operation) -> list[dict[str, Any]]:
        """The parameters. One that may be left out is never null: a path and a query string have no null."""
        parameters: list[dict[str, Any]] = super().operation_parameters(operation)
        for one in parameters:
            kinds = [kind for kind in one["schema"].pop("anyOf", []) if kind != {"type": "null"}]
            one["schema"] |= kinds[0] if kinds else {}
        return parameters

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        """One operation. `x-rules`: the rules that may refuse what its schemas allow."""
        details: dict[str, Any] = super().operation_details(operation)
        rules = sorted(set(self._rules([details["parameters"], details.get("requestBody", {})])))
        declared = {status for status in details["responses"] if status >= 400}
        statuses = declared | _statuses(operation, details) | {RULES[name].status for name in rules}
        refusals = {status: _refusal(status, rules) for status in statuses}
        details["responses"] = dict(sorted((details["responses"] | refusals).items()))
        details["x-rules"] = rules
        return details

    def operation_security(self, operation: Operation) -> list[dict[str, Any]] | None:
        """How to authenticate; an empty object where a visitor may ask too."""
        ways = super().operation_security(operation) or []
        return [*ways, {}] if any(auth in VISITORS for auth in operation.auth_callbacks) else ways

    def _rules(self, part: Any) -> Iterator[str]:
        """The names of the rules in a part of the document, and in the schemas that it refers to."""
        if isinstance(part, list):
            for one in part:
                yield from self._rules(one)
        elif isinstance(part, dict):
            yield from part.get("x-rules", [])
            if "$ref" in part:
                yield from self._rules(self.schemas[part["$ref"].rpartition("/")[2]])
            yield from self._rules(list(part.values()))


def _statuses(operation: Operation, details: dict[str, Any]) -> set[int]:
    by_auth = set[int]().union(*(REFUSED_BY_AUTH[_kind(auth)] for auth in operation.auth_callbacks))
    by_parameters = {REFUSED_WITH_PARAMETER[one["in"]] for one in details["parameters"]}
    by_method = set[int]().union(*(REFUSED_BY_METHOD.get(one, REFUSED_BY_OTHER_METHODS) for one in operation.methods))
    by_body = REFUSED_WITH_BODY if "requestBody" in details else set()
    return by_auth | by_parameters | by_method | by_body | REFUSED_BY_LIMITS


def _kind(auth: Any) -> object:
    return auth if auth in REFUSED_BY_AUTH else type(auth)


def _refusal(status: int, rules: Iterable[str]) -> dict[str, Any]:
    ruled = [f"- {name}: {RULES[name].meaning}" for name in rules if RULES[name].status == status]
    answer: dict[str, Any] = {"description": "\n".join([MEANINGS[status], *ruled]), "content": _BODY}
    return answer | ({"headers": _RETRY_AFTER} if status in REFUSED_BY_LIMITS else {})


def _drop_empty_defaults(schemas: Iterable[dict[str, Any]]) -> None:
    """A field that may be left out, but not be empty, has no default that a client could send."""
    for field in (field for schema in schemas for field in schema.get("properties", {}).values()):
        if field.get("minLength") and field.get("default") == "":
            del field["default"]
