"""Entity: the kinds of rows that can be voted on."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Entity(models.TextChoices):
    """The type of a row that has votes and counts. These name the row by type and id, without a foreign key."""

    POST = "post", _("post")
    COMMENT = "comment", _("comment")
