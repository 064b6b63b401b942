"""Usernames: which are allowed, how they are stored, and how two of them are compared."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from feeds.text.visible import has_towers

#: Characters in a username.
MAX_USERNAME_LENGTH = 30

#: Unicode counts these as letters, but they have no visible form: with them two names could look the same.
INVISIBLE = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"


def _vowel_signs() -> str:
    """The marks that Hindi, Thai, Arabic, Hebrew… write with their letters, for a character class of a pattern."""
    signs = [
        char
        for code in range(0x0591, 0x1CFF)
        if unicodedata.category(char := chr(code)).startswith("M") and not 0x180B <= code <= 0x180F
    ]
    return "".join(sorted(set(signs) - set(INVISIBLE)))


#: Matches a character of a username, from the second on.
NAME_CHARACTER = rf"(?:(?![{INVISIBLE}])[\w{_vowel_signs()}-])"
#: Matches a username, also inside a text.
USERNAME_PATTERN = rf"(?:(?![{INVISIBLE}])[\w-]){NAME_CHARACTER}{{0,{MAX_USERNAME_LENGTH - 1}}}"
_WHOLE = re.compile(USERNAME_PATTERN)


def normalized_username(username: str) -> str:
    """The one spelling that is stored: NFKC, in which full-width letters become plain ones, without outer spaces."""
    return unicodedata.normalize("NFKC", username.strip())


def folded(username: str) -> str:
    """The form for comparing: equal for names that differ in case only."""
    return unicodedata.normalize("NFKC", normalized_username(username).casefold())


def is_valid_username(username: str) -> bool:
    """Whether the name has 1 to 30 letters and digits of any script, `_` and `-`."""
    return _WHOLE.fullmatch(username) is not None and not has_towers(username)


def validate_username(username: str) -> None:
    """Raises ValidationError unless the name has 1 to 30 letters and digits of any script, `_` and `-`."""
    if not is_valid_username(username):
        raise ValidationError(
            _("Use 1 to %(most)s letters, digits, “_” or “-”."),
            code="username",
            params={"most": MAX_USERNAME_LENGTH},
        )
