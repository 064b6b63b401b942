"""Names: usernames out of what people are called in a dump."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count

from django.core.exceptions import ValidationError

from feeds.models import User
from feeds.models.users import NAME_OF_THE_GONE
from feeds.stackexchange.fields import NAMED
from feeds.text.usernames import MAX_LENGTH, PATTERN, folded, normalized, validate_username

ALLOWED = re.compile(PATTERN)
#: The account that acts for a site itself.
COMMUNITY = "-1"
#: A name that others have gets a number up to this one; after that its own id, which nobody else has.
TRIED = 9


def username(display_name: str, *, external_id: str) -> str:
    """The username nearest to a name: what it may not hold becomes a hyphen; without any, one by the id."""
    name = "".join(char if ALLOWED.fullmatch(f"a{char}") else " " for char in normalized(display_name))
    name = "-".join(name.split())[:MAX_LENGTH].strip("-")
    if not name or folded(name).startswith(NAME_OF_THE_GONE) or not _is_valid(name):
        return f"se-{'community' if external_id == COMMUNITY else external_id}"[:MAX_LENGTH]
    return name


def display_name(author: str) -> str:
    """What someone is called who is known by name alone."""
    return author.removeprefix(NAMED) if author.startswith(NAMED) else ""


def free_usernames(wanted: Mapping[str, str]) -> dict[str, str]:
    """A username for each external id, the wanted one or, if it is taken, that with something behind."""
    open_ids = {external_id: _variants(name, external_id) for external_id, name in wanted.items()}
    given: dict[str, str] = {}
    used: set[str] = set()
    while open_ids:
        tries = {external_id: next(variants) for external_id, variants in open_ids.items()}
        used.update(User.objects.named(*tries.values()).values_list("username_folded", flat=True))
        for external_id, name in tries.items():
            if folded(name) not in used:
                used.add(folded(name))
                given[external_id] = name
                del open_ids[external_id]
    return given


def _variants(name: str, external_id: str) -> Iterator[str]:
    yield name
    for tried in range(2, TRIED + 1):
        yield _with(name, f"-{tried}")
    own = "".join(char for char in external_id if ALLOWED.fullmatch(f"a{char}"))[-12:]
    yield _with(name, f"-{own}")
    for tried in count(2):
        yield _with(name, f"-{own}-{tried}")


def _with(name: str, suffix: str) -> str:
    return f"{name[: MAX_LENGTH - len(suffix)]}{suffix}"


def _is_valid(name: str) -> bool:
    try:
        validate_username(name)
    except ValidationError:
        return False
    return normalized(name) == name
