"""Usernames: which are allowed, and how two of them are compared."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

MAX_LENGTH = 30

#: Letters by their Unicode category, but drawn as nothing: with them two names could look alike.
INVISIBLE = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"


def _vowel_signs() -> str:
    """The marks that Hindi, Thai, Arabic, Hebrew… write with their letters, as ranges of a character class."""
    signs = [
        char
        for code in range(0x0591, 0x1CFF)
        if unicodedata.category(char := chr(code)).startswith("M") and not 0x180B <= code <= 0x180F
    ]
    return "".join(sorted(set(signs) - set(INVISIBLE)))


#: What a username consists of, as a pattern for those who look for names in text.
PATTERN = rf"(?:(?![{INVISIBLE}])[\w-])(?:(?![{INVISIBLE}])[\w{_vowel_signs()}-]){{0,{MAX_LENGTH - 1}}}"
_WHOLE = re.compile(PATTERN)


def normalized(username: str) -> str:
    """The one spelling that is stored (NFKC: full-width letters become plain ones)."""
    return unicodedata.normalize("NFKC", username.strip())


def folded(username: str) -> str:
    """The form that is compared: equal for names that differ in case alone."""
    return unicodedata.normalize("NFKC", normalized(username).casefold())


def validate_username(username: str) -> None:
    """Raises ValidationError unless the name is of letters and digits of any script, `_` and `-`."""
    if not _WHOLE.fullmatch(username):
        raise ValidationError(
            _("Use 1 to %(most)s letters, digits, “_” or “-”."), code="username", params={"most": MAX_LENGTH}
        )
