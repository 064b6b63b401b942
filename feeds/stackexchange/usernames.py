"""Usernames: make free usernames of the display names in a dump."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count

from django.core.exceptions import ValidationError

from feeds.models import User
from feeds.models.users import DELETED_NAME_PREFIX
from feeds.stackexchange.fields import NAME_PREFIX
from feeds.text.usernames import MAX_USERNAME_LENGTH, USERNAME_PATTERN, folded, normalized_username, validate_username

ALLOWED = re.compile(USERNAME_PATTERN)
#: The id of the account that acts for the site itself.
COMMUNITY = "-1"
#: A taken name gets a number, from 2 to this one; after that its own id, which is unique.
HIGHEST_SUFFIX = 9


def username_of(display_name: str, *, external_id: str) -> str:
    """The name with hyphens for the characters that a username cannot have; one made of the id if none are left."""
    name = "".join(char if ALLOWED.fullmatch(f"a{char}") else " " for char in normalized_username(display_name))
    name = "-".join(name.split())[:MAX_USERNAME_LENGTH].strip("-")
    if not name or folded(name).startswith(DELETED_NAME_PREFIX) or not _is_valid(name):
        return f"se-{'community' if external_id == COMMUNITY else _allowed(external_id)}"[:MAX_USERNAME_LENGTH]
    return name


def display_name(author: str) -> str:
    """The display name of an author without an id; empty for an author with one."""
    return author.removeprefix(NAME_PREFIX) if author.startswith(NAME_PREFIX) else ""


def free_usernames(wanted: Mapping[str, str]) -> dict[str, str]:
    """A free username for each external id: the wanted one or, if it is taken, the wanted one with a suffix."""
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
    for number in range(2, HIGHEST_SUFFIX + 1):
        yield _with(name, f"-{number}")
    own = _allowed(external_id)[-12:]
    yield _with(name, f"-{own}")
    for number in count(2):
        yield _with(name, f"-{own}-{number}")


def _allowed(external_id: str) -> str:
    return "".join(char for char in normalized_username(external_id) if ALLOWED.fullmatch(f"a{char}"))


def _with(name: str, suffix: str) -> str:
    return f"{name[: MAX_USERNAME_LENGTH - len(suffix)]}{suffix}"


def _is_valid(name: str) -> bool:
    try:
        validate_username(name)
    except ValidationError:
        return False
    return normalized_username(name) == name
