"""Circles: found one, join, leave."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_unicode_slug
from django.db import IntegrityError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from feeds.actions.action import verb
from feeds.actions.lookups import circle_at
from feeds.errors import InvalidError, TakenError
from feeds.models import Circle, Membership, User
from feeds.text import cleaning as texts
from feeds.text import slugs

SLUG_LENGTH, NAME_LENGTH, DESCRIPTION_LENGTH = 50, 100, 2_000


@verb
def create_circle(user: User, *, name: str, slug: str = "", description: str = "") -> Circle:
    """Found a circle and be its first member; without a slug it takes one from its name. Raises InvalidError, TakenError."""
    name = texts.line(name, field="name", most=NAME_LENGTH)
    description = texts.text(description, field="description", most=DESCRIPTION_LENGTH, blank=True)
    slug = _slug(slug) if slug else _slug(slugify(name, allow_unicode=True)[:SLUG_LENGTH])
    try:
        return Circle.objects.create(slug=slug, name=name, description=description, owner=user)
    except IntegrityError:
        raise TakenError("slug", _("There is a circle of this name already.")) from None


@verb
def join(user: User, *, slug: str) -> Membership:
    """Belong to a circle; fine if one does. Raises NotFoundError."""
    return Membership.objects.get_or_create(circle=circle_at(slug), user=user)[0]


@verb
def leave(user: User, *, slug: str) -> None:
    """Belong to a circle no longer; fine if one never did. Raises NotFoundError."""
    Membership.objects.filter(circle=circle_at(slug), user=user).delete()


def _slug(slug: str) -> str:
    slug = slugs.normalized(texts.line(slug, field="slug", most=SLUG_LENGTH))
    try:
        validate_unicode_slug(slug)
    except ValidationError:
        raise InvalidError("slug", _("A slug has letters, digits, “_” and “-” only.")) from None
    if slug in slugs.RESERVED:
        raise TakenError("slug", _("This address is taken; choose another."))
    return texts.line(slug, field="slug", most=SLUG_LENGTH)
