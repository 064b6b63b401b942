"""Masking: what must not be read in a log is masked."""

from __future__ import annotations

import re
from functools import lru_cache

MASK = "[masked]"
#: Facts whose value is a secret, by the end of their name.
SECRET_NAME = re.compile(
    r"(?:^|_)(?:password|passwd|secret|token|cookies?|authorization|session_?key|sessionid|api_?key|signature)$", re.I
)
#: Without one of these there is no secret in a line; to look for them takes a tenth of the time of the expressions.
SIGNS = (
    "://",
    "cookie",
    "authorization",
    "bearer",
    "token",
    "sessionid",
    "password",
    "passwd",
    "secret",
    "code=",
    "key",
)
#: A secret in a text, in JSON or not, with what stands before it.
SECRETS = re.compile(
    r"""(://[^\s/:@"'\\]*:)[^\s/@"'\\]+(?=@)"""  # the password of a URL
    r"""|((?:cookie|authorization)\\?["']?(?:\s*[:=]\s*|\s*,\s*(?=(?-i:b)?\\?["']))(?-i:b)?\\?["']?)[^"'\\]+"""
    r"""|(bearer\s+)[\w.~+/=-]+"""
    r"""|(\b(?:csrf|csrfmiddleware|access|auth|api)?_?(?:token|sessionid|password|secret|code|key)=)[^\s&;,)"'\\]+"""
    r"""|(["'](?:password|passwd|secret|token|sessionid|session_key|api_key)\\?["']:\s*(?-i:b)?\\?["'])[^"'\\]+""",
    re.I,
)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a fact of this name holds a secret."""
    return SECRET_NAME.search(name) is not None


def masked(text: str) -> str:
    """The text without passwords of URLs, cookies, and tokens in headers and query strings."""
    lower = text.lower()
    if not any(sign in lower for sign in SIGNS):
        return text
    return SECRETS.sub(lambda found: next(filter(None, found.groups())) + MASK, text)
