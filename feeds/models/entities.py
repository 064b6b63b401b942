"""Entity: what can be voted on."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Entity(models.TextChoices):
    """The kinds of rows that votes and counts are about; they name a row by kind and id, without a foreign key."""

    POST = "post", _("post")
    COMMENT = "comment", _("comment")
