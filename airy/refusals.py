"""Refusals of the API: an error becomes an answer in JSON, with a `detail` that people can read.

The pages' own are in `feeds.views.refusals`.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import sync_and_async_middleware
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from feeds.errors import (
    CodeNeededError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    RefusedError,
    TakenError,
    TooOftenError,
)
from feeds.lists.pagination import BadCursorError

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

STATUSES: dict[type[RefusedError], int] = {
    NotFoundError: 404,
    NotAllowedError: 403,
    InvalidError: 422,
    TakenError: 409,
    CodeNeededError: 401,
}


class FieldMessage:
    """What the client reads of an invalid field. limits: the placeholders of the text, each with its key in `ctx`."""

    def __init__(self, text: StrOrPromise, **limits: str) -> None:
        self.text = text
        self.limits = limits


WHOLE_NUMBER = FieldMessage(gettext_lazy("This must be a whole number."))
TRUE_OR_FALSE = FieldMessage(gettext_lazy("This must be true or false."))
NOT_A_NUMBER = FieldMessage(gettext_lazy("This must be a number."))
OBJECT = FieldMessage(gettext_lazy("This must be an object."))
DATE_TIME = FieldMessage(gettext_lazy("This must be a date and time with its time zone, such as 2030-01-31T12:00:00Z."))
#: The message for each type of pydantic's errors.
FIELD_MESSAGES = {
    "missing": FieldMessage(gettext_lazy("This field is required.")),
    "extra_forbidden": FieldMessage(gettext_lazy("Unknown field.")),
    "string_type": FieldMessage(gettext_lazy("This must be a string.")),
    "string_unicode": FieldMessage(gettext_lazy("This contains invalid characters. Remove them and try again.")),
    "string_too_long": FieldMessage(
        gettext_lazy("This is too long. Use at most %(most)s characters."), most="max_length"
    ),
    "string_pattern_mismatch": FieldMessage(gettext_lazy("Use only letters, digits, “_” and “-”.")),
    "string_too_short": FieldMessage(
        gettext_lazy("This is too short. Use at least %(least)s characters."), least="min_length"
    ),
    "int_type": WHOLE_NUMBER,
    "int_parsing": WHOLE_NUMBER,
    "int_from_float": WHOLE_NUMBER,
    "int_parsing_size": WHOLE_NUMBER,
    "float_type": NOT_A_NUMBER,
    "float_parsing": NOT_A_NUMBER,
    "finite_number": NOT_A_NUMBER,
    "bool_type": TRUE_OR_FALSE,
    "bool_parsing": TRUE_OR_FALSE,
    "list_type": FieldMessage(gettext_lazy("This must be a list.")),
    "too_short": FieldMessage(gettext_lazy("This list must have at least %(least)s items."), least="min_length"),
    "too_long": FieldMessage(gettext_lazy("This list must have at most %(most)s items."), most="max_length"),
    "datetime_parsing": DATE_TIME,
    "datetime_from_date_parsing": DATE_TIME,
    "timezone_aware": DATE_TIME,
    "dict_type": OBJECT,
    "model_type": OBJECT,
    "model_attributes_type": OBJECT,
    "literal_error": FieldMessage(gettext_lazy("This must be one of: %(choices)s."), choices="expected"),
    "greater_than_equal": FieldMessage(gettext_lazy("This must be at least %(least)s."), least="ge"),
    "greater_than": FieldMessage(gettext_lazy("This must be greater than %(bound)s."), bound="gt"),
    "less_than_equal": FieldMessage(gettext_lazy("This must be at most %(most)s."), most="le"),
    "less_than": FieldMessage(gettext_lazy("This must be less than %(bound)s."), bound="lt"),
}
#: The message for each status of an answer that brings none.
STATUS_MESSAGES = {
    400: gettext_lazy("The request could not be understood."),
    401: gettext_lazy("Sign in, or send an API token."),
    403: gettext_lazy("You don't have permission to do this."),
    404: gettext_lazy("There is nothing at this address."),
    405: gettext_lazy("This method is not allowed at this address."),
    408: gettext_lazy("The request took too long to arrive. Try again."),
    409: gettext_lazy("This conflicts with the current state."),
    413: gettext_lazy("The request body is too large."),
    415: gettext_lazy("This content type is not supported."),
    422: gettext_lazy("The request contains values that are not valid."),
    429: gettext_lazy("Too many requests. Try again later."),
    503: gettext_lazy("The service is unavailable right now. Try again later."),
}


def answer_refusals(api: NinjaAPI) -> None:
    """Register the handlers for our errors, for those of django-ninja and for any other."""
    api.add_exception_handler(RefusedError, _refused)
    api.add_exception_handler(TooOftenError, _too_often)
    api.add_exception_handler(ValidationError, _not_understood)
    api.add_exception_handler(BadCursorError, _bad_cursor)
    api.add_exception_handler(RequestDataTooBig, _too_big)
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Exception, _failed)


@sync_and_async_middleware
def json_for_programs(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: answers as JSON what a program asked for.

    An error under /api/ that the API's views did not answer (unknown address, crash …). What becomes of a form that the
    pages' script sends (`Accept: application/json`): `to`, the address to go on at; or `detail`, why it was refused. A
    page with the form and its errors stays a page.
    """
    if iscoroutinefunction(get_response):

        async def answer_async(request: HttpRequest) -> HttpResponse:
            return _as_json(request, await get_response(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponse:
        return _as_json(request, get_response(request))

    return answer


def _as_json(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    status = response.status_code
    if response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    if not request.path_info.startswith("/api/"):
        if request.method != "POST" or request.headers.get("Accept") != "application/json":
            return response
        if 300 <= status < 400:
            answer = JsonResponse({"to": response.headers["Location"]})
            answer.cookies = response.cookies
            return answer
        if not _is_refusal(response):
            return response
    if status < 400:
        return response
    kept = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
    refusal = JsonResponse({"detail": getattr(response, "refusal", "") or phrase(status)}, status=status, headers=kept)
    # Django's mark, or it would log the error once more, without its traceback.
    refusal._has_been_logged = getattr(response, "_has_been_logged", False)  # type: ignore[attr-defined]
    return refusal


def _is_refusal(response: HttpResponse) -> bool:
    """Whether a page is a refusal alone. One with the form, to be sent again, has status 403 (CSRF), 409 or 422."""
    return hasattr(response, "refusal") or (response.status_code >= 400 and response.status_code not in (403, 409, 422))


def _answer(status: int, detail: str, /, **fields: str) -> JsonResponse:
    return JsonResponse({"detail": detail} | ({"fields": fields} if fields else {}), status=status)


def _refused(request: HttpRequest, error: RefusedError | type[RefusedError]) -> HttpResponse:
    assert isinstance(error, RefusedError)
    if isinstance(error, InvalidError):
        return _answer(STATUSES[type(error)], f"{error.field}: {error.message}", **{error.field: error.message})
    return _answer(STATUSES[type(error)], error.message)


def _too_often(request: HttpRequest, error: Any) -> HttpResponse:
    response = _answer(429, error.message)
    response.headers["Retry-After"] = str(error.wait)
    return response


def _bad_cursor(request: HttpRequest, error: Any) -> HttpResponse:
    message = _("This cursor is not valid for this list. Leave it out to start from the first page.")
    return _answer(422, f"cursor: {message}", cursor=message)


def _not_understood(request: HttpRequest, error: Any) -> HttpResponse:
    if any(problem["loc"][0] == "path" for problem in error.errors):
        return _answer(404, phrase(404))
    fields = {_field(problem): _field_message(problem) for problem in error.errors}
    if "" in fields:
        return _answer(422, _("The request body must be a JSON object."))
    return _answer(422, "; ".join(f"{field}: {message}" for field, message in fields.items()), **fields)


def _field(problem: dict[str, Any]) -> str:
    """The name of the invalid field as the client sent it; empty for the body as a whole."""
    where, _parameter, *names = problem["loc"]
    return ".".join(map(str, names if where == "body" else problem["loc"][1:]))


def _field_message(problem: dict[str, Any]) -> str:
    """What is wrong with a field, from pydantic's error: `type`, `msg` in English, and `ctx` with the limits."""
    message = FIELD_MESSAGES.get(problem["type"])
    if message is None:
        return str(problem["msg"]) if _in_english() else _("This value is not valid.")
    limits = {name: problem["ctx"][key] for name, key in message.limits.items()}
    if "choices" in limits:
        limits["choices"] = limits["choices"].replace(" or ", _(" or "))
    return str(message.text) % limits


def _in_english() -> bool:
    """Whether the client reads English, so that messages of other libraries need no translation."""
    return (get_language() or "en").startswith("en")


def _too_big(request: HttpRequest, error: Any) -> HttpResponse:
    return _answer(413, _("The request body is too large."))


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    if error.status_code == 400:
        return _answer(400, _("The request body is not valid JSON."))
    if error.status_code == 429 or error.message == HTTPStatus(error.status_code).phrase:
        return _answer(error.status_code, phrase(error.status_code))
    return _answer(error.status_code, error.message)


def _failed(request: HttpRequest, error: Any) -> HttpResponse:
    # Django logs it with its traceback, and json_for_programs answers.
    raise error


def phrase(status: int) -> str:
    """What a status means."""
    if status in STATUS_MESSAGES:
        return str(STATUS_MESSAGES[status])
    if status >= 500:
        return _("Something went wrong on our side. Try again later.")
    return HTTPStatus(status).phrase if _in_english() else _("The request was refused.")
