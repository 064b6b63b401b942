"""Refusals: how the API says no. Whatever is wrong, the answer is JSON with a `detail` for people."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from feeds.errors import InvalidError, NotAllowedError, NotFoundError, RefusedError, TakenError
from feeds.lists.pagination import BadCursorError

STATUSES: dict[type[RefusedError], int] = {NotFoundError: 404, NotAllowedError: 403, InvalidError: 422, TakenError: 409}


def answer_refusals(api: NinjaAPI) -> None:
    """Let the API answer every error of ours and of django-ninja's."""
    api.add_exception_handler(RefusedError, _refused)
    api.add_exception_handler(ValidationError, _not_understood)
    api.add_exception_handler(BadCursorError, _bad_cursor)
    api.add_exception_handler(RequestDataTooBig, _too_big)
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Exception, _failed)


@sync_and_async_middleware
def json_under_api(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: what is refused under /api/ outside of the API's own views (unknown address, crash…) is JSON, too."""
    if iscoroutinefunction(get_response):

        async def answer_soon(request: HttpRequest) -> HttpResponse:
            return _as_json(request, await get_response(request))

        return answer_soon

    def answer(request: HttpRequest) -> HttpResponse:
        return _as_json(request, get_response(request))

    return answer


def _as_json(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    is_json = response.headers.get("Content-Type", "").startswith("application/json")
    if response.status_code < 400 or is_json or not request.path_info.startswith("/api/"):
        return response
    kept = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
    return JsonResponse({"detail": _phrase(response.status_code)}, status=response.status_code, headers=kept)


def _answer(status: int, detail: str, /, **fields: str) -> JsonResponse:
    return JsonResponse({"detail": detail} | ({"fields": fields} if fields else {}), status=status)


def _refused(request: HttpRequest, error: RefusedError | type[RefusedError]) -> HttpResponse:
    assert isinstance(error, RefusedError)
    if isinstance(error, InvalidError):
        return _answer(STATUSES[type(error)], f"{error.field}: {error.message}", **{error.field: error.message})
    return _answer(STATUSES[type(error)], error.message)


def _bad_cursor(request: HttpRequest, error: Any) -> HttpResponse:
    words = _("This cursor does not belong to this list; leave it out to start from the first page.")
    return _answer(422, f"cursor: {words}", cursor=words)


def _not_understood(request: HttpRequest, error: Any) -> HttpResponse:
    if any(problem["loc"][0] == "path" for problem in error.errors):
        return _answer(404, _phrase(404))
    fields = {_field(problem): _words(problem) for problem in error.errors}
    if "" in fields:
        return _answer(422, _("The body must be a JSON object."))
    return _answer(422, "; ".join(f"{field}: {words}" for field, words in fields.items()), **fields)


def _field(problem: dict[str, Any]) -> str:
    """The name by which the client sent a value; empty for the body as a whole."""
    where, _parameter, *names = problem["loc"]
    return ".".join(map(str, names if where == "body" else problem["loc"][1:]))


def _words(problem: dict[str, Any]) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return _("This is needed.")
        case "extra_forbidden":
            return _("There is no such field.")
        case "string_type":
            return _("This must be text.")
        case "string_unicode":
            return _("This contains characters that are not text.")
        case "string_too_long":
            return _("This is too long: at most %(most)s characters.") % {"most": context["max_length"]}
        case "int_type" | "int_parsing" | "int_from_float" | "int_parsing_size":
            return _("This must be a whole number.")
        case "bool_type" | "bool_parsing":
            return _("This must be true or false.")
        case "literal_error":
            return _("This must be one of: %(choices)s.") % {"choices": context["expected"].replace(" or ", _(" or "))}
        case "greater_than_equal":
            return _("This must be at least %(least)s.") % {"least": context["ge"]}
        case "greater_than":
            return _("This must be more than %(bound)s.") % {"bound": context["gt"]}
        case "less_than_equal":
            return _("This must be at most %(most)s.") % {"most": context["le"]}
        case "less_than":
            return _("This must be less than %(bound)s.") % {"bound": context["lt"]}
        case "string_too_short":
            return _("This is too short: at least %(least)s characters.") % {"least": context["min_length"]}
        case "float_type" | "float_parsing" | "finite_number":
            return _("This must be a number.")
        case "list_type":
            return _("This must be a list.")
        case "dict_type" | "model_type" | "model_attributes_type":
            return _("This must be an object.")
        case _:
            return str(problem["msg"]) if _in_english() else _("This is not valid.")


def _in_english() -> bool:
    """Whether what others word in English only can be read."""
    return (get_language() or "en").startswith("en")


def _too_big(request: HttpRequest, error: Any) -> HttpResponse:
    return _answer(413, _("The body is too large."))


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    if error.status_code == 400:
        return _answer(400, _("The body is not JSON."))
    if error.status_code == 429 or error.message == HTTPStatus(error.status_code).phrase:
        return _answer(error.status_code, _phrase(error.status_code))
    return _answer(error.status_code, error.message)


def _failed(request: HttpRequest, error: Any) -> HttpResponse:
    # Django logs it with its traceback, and the middleware words the answer.
    raise error


def _phrase(status: int) -> str:
    match status:
        case 400:
            return _("This request is not understood.")
        case 401:
            return _("Sign in first, or send a token.")
        case 403:
            return _("This is not allowed.")
        case 404:
            return _("There is nothing here.")
        case 405:
            return _("This method is not allowed here.")
        case 409:
            return _("This does not agree with what there is.")
        case 413:
            return _("The body is too large.")
        case 415:
            return _("A body of this type is not taken.")
        case 422:
            return _("Something in this request is not valid.")
        case 429:
            return _("Too many requests; try again later.")
        case 503:
            return _("This cannot be answered right now; try again later.")
        case _ if status >= 500:
            return _("Something went wrong on our side.")
        case _:
            return HTTPStatus(status).phrase if _in_english() else _("This request was refused.")
