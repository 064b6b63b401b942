"""Lookalikes: names whose letters pass for others, and names that no user may choose."""

from __future__ import annotations

from functools import cache

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from feeds.text.folding import folded_text
from feeds.text.looks import skeleton
from feeds.text.scripts import script_of

#: What speaks for the site, or is a part of an address. Compared without case, accents and lookalikes.
RESERVED = {
    "about", "abuse", "account", "accounts", "admin", "administration", "administrator", "airy", "anonymous", "api",
    "auth", "billing", "bot", "bots", "circle", "circles", "comment", "comments", "community", "constructor",
    "contact", "deleted", "docs", "drafts", "everyone", "feed", "feeds", "follow", "guest", "health", "help",
    "here", "home", "hostmaster", "info", "legal", "login", "logout", "mail", "me", "mod", "moderation",
    "moderator", "mods", "new", "news", "nobody", "none", "notifications", "null", "official", "operator", "owner",
    "password", "post", "postmaster", "posts", "privacy", "register", "robot", "root", "search", "security",
    "settings", "signin", "signout", "signup", "site", "staff", "static", "status", "support", "sysadmin", "system",
    "team", "terms", "token", "tokens", "undefined", "user", "users", "webmaster", "www", "you",
}  # fmt: skip
#: Scripts whose letters go together in a name, besides Latin ones.
TOGETHER = (
    {"LATIN", "HAN", "HIRAGANA", "KATAKANA"},
    {"LATIN", "HAN", "BOPOMOFO"},
    {"LATIN", "HAN", "HANGUL"},
)
#: Scripts with many letters that look like Latin ones.
LIKE_LATIN = {"CYRILLIC", "GREEK", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU"}


def validate_spelling(username: str) -> None:
    """Raises ValidationError for a name without letters and digits, a reserved one, and one that mixes scripts."""
    if not any(char.isalnum() for char in username):
        raise ValidationError(_("Use at least one letter or digit."), code="username")
    if is_reserved(username):
        raise ValidationError(_("This username is reserved. Choose another."), code="taken")
    if mixes_scripts(username):
        raise ValidationError(
            _("This username mixes scripts whose letters look alike. Use letters of one script."), code="username"
        )


def is_reserved(username: str) -> bool:
    """Whether the name, or one that looks like it, is RESERVED."""
    return _plain(username) in _plain_reserved()


def mixes_scripts(name: str) -> bool:
    """Whether letters of several scripts are mixed that look alike, as Cyrillic ones and Latin ones do."""
    scripts = {script for char in name if (script := script_of(char))}
    if len(scripts) < 2 or any(scripts <= together for together in TOGETHER):
        return False
    return len(scripts) > 2 or "LATIN" not in scripts or bool(scripts & LIKE_LATIN)


def _plain(name: str) -> str:
    """The look without accents, in which i, l and 1 are one letter."""
    return folded_text(skeleton(name)).replace("i", "l").strip("-_")


@cache
def _plain_reserved() -> set[str]:
    return {_plain(name) for name in RESERVED}
