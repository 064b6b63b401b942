"""Circles: create, join, leave."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import validate_unicode_slug
from django.db import IntegrityError
from django.utils.text import slugify
from django.utils.translation import gettext as _

from feeds.actions.action import action
from feeds.actions.lookups import circle_with_slug
from feeds.actions.refusal import refusal
from feeds.errors import InvalidError, TakenError
from feeds.models import Circle, Membership, User
from feeds.text.cleaning import clean_line, clean_text
from feeds.text.slugs import RESERVED_SLUGS, normalized_slug


@action
def create_circle(user: User, *, name: str, slug: str = "", description: str = "") -> Circle:
    """Create a circle, owned by the user, who is its first member. Without a slug it is made of the name.

    Raises InvalidError, TakenError.
    """
    name = clean_line(name, field="name", max_length=Circle.NAME_LENGTH)
    description = clean_text(description, field="description", max_length=Circle.DESCRIPTION_LENGTH, blank=True)
    slug = _slug(slug) if slug else _slug(slugify(name, allow_unicode=True)[: Circle.SLUG_LENGTH])
    try:
        return Circle.objects.create(slug=slug, name=name, description=description, owner=user)
    except ValidationError as error:
        raise refusal(error) from None
    except IntegrityError:
        raise TakenError("slug", _("A circle with this name or address already exists. Choose another.")) from None


@action
def join(user: User, *, slug: str) -> Membership:
    """Become a member; a member stays one. Raises NotFoundError."""
    return Membership.objects.get_or_create(circle=circle_with_slug(slug), user=user)[0]


@action
def leave(user: User, *, slug: str) -> None:
    """End the membership, if there is one. Raises NotFoundError."""
    Membership.objects.filter(circle=circle_with_slug(slug), user=user).delete()


def _slug(slug: str) -> str:
    slug = normalized_slug(clean_line(slug, field="slug", max_length=Circle.SLUG_LENGTH))
    try:
        validate_unicode_slug(slug)
    except ValidationError:
        raise InvalidError("slug", _("Use only letters, digits, “_” and “-”.")) from None
    if slug in RESERVED_SLUGS:
        raise TakenError("slug", _("This address is already taken. Choose another."))
    return clean_line(slug, field="slug", max_length=Circle.SLUG_LENGTH)
