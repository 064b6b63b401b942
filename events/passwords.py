"""Passwords: which of them anybody would try first."""

from __future__ import annotations

#: Those of examples, of fresh servers and of this project's own compose file.
KNOWN = frozenset({"airy", "guest", "postgres", "rabbitmq", "redis", "admin", "root", "password", "secret", "changeme"})
#: Characters that a password must have, at least.
SHORTEST = 10


def why_weak(password: str, *, user: str = "") -> str:
    """Why a password is weak, as the end of a sentence; empty if it is not."""
    if not password:
        return "is empty"
    if password.lower() in KNOWN or password.lower().rstrip("0123456789!") in KNOWN:
        return "is one that everybody tries first"
    if user and password.lower() == user.lower():
        return "is the name of its user"
    if len(password) < SHORTEST:
        return f"has fewer than {SHORTEST} characters"
    return ""
