"""Rules: why the API refuses input that its schema allows. Each refusal has a status and a message listed here.

The description in the OpenAPI document is made of this list, and the test of the whole API lets no other refusal pass.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Rule(NamedTuple):
    """A rule that a schema cannot say. message: a pattern that the English `detail` of the answer contains."""

    status: int
    meaning: str
    message: re.Pattern[str]


def _rule(status: int, meaning: str, message: str) -> Rule:
    return Rule(status, meaning, re.compile(message))


RULES: dict[str, Rule] = {
    "text that shows nothing": _rule(
        422,
        "A text has at least one visible character.",
        r"^\w+: (This must not be empty|This has only characters that nobody can see|Nothing of this would be shown)",
    ),
    "characters that are none": _rule(
        422, "A text has no NUL and no half of a surrogate pair.", r"^\w+: This contains invalid characters\."
    ),
    "too many marks": _rule(
        422, "A letter has a bounded number of marks above and below it.", r"^\w+: Use at most \d+ accents on"
    ),
    "length after cleaning": _rule(
        422,
        "A text is not too long in its normal form (NFC), in which a few characters are two.",
        r"^\w+: This is too long: \d+ characters",
    ),
    "username": _rule(
        422,
        "A username is in letters of one script, all known to the Unicode of this site, has a visible letter or digit, "
        "and at most 30 characters in its normal form (NFKC).",
        r"^username: (Use (1 to 30|only|at least one) letter|This username (mixes|is reserved for)|Ensure this value)",
    ),
    "taken": _rule(
        409,
        "A username, and the slug of a circle, belongs to one, does not look like another, and is not reserved.",
        r"^(username|slug): .*(already taken|already exists|is reserved\.|looks like)",
    ),
    "slug": _rule(
        422,
        "A slug, and the name that one is made of, has letters, digits, “_” or “-”, in each word those of one script.",
        r"^slug: (Use only|This must|A word of)",
    ),
    "password": _rule(
        422, "A new password is not common, not a number, and not like the name.", r"^password: Th(is|e) password is "
    ),
    "current password": _rule(
        422,
        "The current password is right.",
        r"^(current_)?password: (Enter your current|Wrong password|This account has no)",
    ),
    "e-mail": _rule(422, "An e-mail address can get letters.", r"^email: (Enter a valid email|Ensure this value has)"),
    "code": _rule(422, "A code is one that the app shows now.", r"^code: This code is wrong\."),
    "factor": _rule(409, "A second factor is turned on once.", r"^code: Your second factor is on already"),
    "another's circle": _rule(422, "The circle of a post exists.", r"^circle: This circle doesn't exist"),
    "no such row": _rule(
        404, "The circle and the author that restrict a list exist.", r"^This (circle|user) doesn't exist"
    ),
    "parent": _rule(
        422,
        "The comment that is replied to is there, under the same post.",
        r"^parent_id: The comment you are replying",
    ),
    "published stays published": _rule(
        422, "A published post is not turned back into a draft.", r"^status: A published post can't"
    ),
    "cursor": _rule(422, "A cursor is one that this list has given.", r"^cursor: This cursor is not valid for"),
    "expiry": _rule(
        422,
        "A token expires in the future, and within ten years.",
        r"^expires: This must be (in the future|within ten years|a date and time)",
    ),
    "tokens": _rule(422, "An account has at most 100 tokens.", r"^name: You have \d+ tokens"),
    "oneself": _rule(
        422, "Nobody follows, blocks or mutes themselves.", r"^username: You can't (follow|do that to) your"
    ),
}


def rule_of(status: int, detail: str) -> str | None:
    """The name of the rule by which an answer was refused; None if it is none of them."""
    return next((name for name, rule in RULES.items() if rule.status == status and rule.message.search(detail)), None)


def described() -> str:
    """The list, as Markdown for the OpenAPI document."""
    return "\n".join(f"- {rule.status}, {name}: {rule.meaning}" for name, rule in RULES.items())
