"""User: a person with an account."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as AuthUserManager
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q, Value
from django.db.models.functions import Upper
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from events.bus import EventSource, emit, redact
from events.db import committed
from feeds.events import AccountDeleted, LeavingContinued
from feeds.models.looks import UserLook
from feeds.models.reserved_names import ReservedName
from feeds.models.row_by_row import RowByRow
from feeds.text.cleaning import is_text
from feeds.text.lookalikes import validate_spelling
from feeds.text.looks import looks_of_username, skeleton
from feeds.text.mentions import candidates
from feeds.text.usernames import MAX_USERNAME_LENGTH, folded, is_valid_username, normalized_username, validate_username

#: The username of a deleted account is this and the user's id.
DELETED_NAME_PREFIX = "deleted-"
#: Follows, followers, memberships and circles, of each so many, that end in the request of who leaves. With more of one
#: kind an event ends the rest.
ENDED_AT_ONCE = 50


class UserQuerySet(RowByRow["User"]):
    """Users."""

    def named(self, *usernames: str) -> UserQuerySet:
        """The users with these names, regardless of case."""
        return self.filter(username_folded__in=[folded(username) for username in usernames if is_text(username)])

    def meant(self, *names: str) -> list[User]:
        """The users whom @names in a text mean: each the longest of its `candidates` that a user has."""
        possible = [
            [folded(one) for one in candidates(name)]
            for name in names
            if is_text(name) and len(name) <= MAX_USERNAME_LENGTH
        ]
        users = self.filter(username_folded__in={one for ones in possible for one in ones})
        known = {user.username_folded: user for user in users}
        found = (next((known[one] for one in ones if one in known), None) for ones in possible)
        return list(dict.fromkeys(user for user in found if user is not None))

    def reached_at(self, email: str) -> UserQuerySet:
        """The users whose confirmed address this is, or who have it and have confirmed none; regardless of case."""
        confirmed = Q(Exact(Upper("confirmed_email"), Upper(Value(email))), ~Q(confirmed_email=""))
        given = Q(Exact(Upper("email"), Upper(Value(email))), ~Q(email=""), confirmed_email="")
        return self.filter(confirmed | given)

    def gone(self) -> UserQuerySet:
        """The users who left for good."""
        return self.filter(is_active=False, username_folded__startswith=DELETED_NAME_PREFIX)

    def active(self) -> UserQuerySet:
        """The users who are neither banned nor deleted."""
        return self.filter(is_active=True)

    def bulk_create(self, objs: Iterable[User], *args: Any, **kwargs: Any) -> list[User]:
        """As Django's. A look that another user has stays with them, and nothing is refused."""
        with transaction.atomic(using=self.db):
            users: list[User] = super().bulk_create(objs, *args, **kwargs)
            UserLook.objects.take({user.pk: user.looks_wanted for user in users if user.pk is not None})
        return users


class UserManager(AuthUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> User:
        """The user with this name, regardless of case; used for signing in. Raises User.DoesNotExist."""
        user: User = self.named(username or "").get()
        return user


class User(EventSource, AbstractUser):
    """A user. Deleting one removes name, follows and memberships; posts and comments stay, under a neutral name."""

    username = models.CharField(
        _("username"),
        max_length=MAX_USERNAME_LENGTH,
        unique=True,
        validators=[validate_username],
        help_text=_("Letters and digits of any script, “_” and “-”."),
    )
    username_folded = models.CharField(max_length=3 * MAX_USERNAME_LENGTH, unique=True, editable=False)
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    #: Where links to a new password go, also while `email` holds another address that is not confirmed yet.
    confirmed_email = models.EmailField(
        _("confirmed email"),
        blank=True,
        default="",
        db_default="",
        help_text=_("The person has shown that this address is theirs. Links to a new password are sent to it."),
    )
    last_seen_at = models.DateTimeField(_("last seen"), default=timezone.now)

    #: The key of the session in which the password is being changed: that session stays signed in. Not a column.
    renewed_session: str | None = None

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        indexes = [
            models.Index(Upper("email"), name="feeds_user_email", condition=~Q(email="")),
            models.Index(Upper("confirmed_email"), name="feeds_user_confirmed_email", condition=~Q(confirmed_email="")),
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def email_confirmed(self) -> bool:
        """Whether the user has shown that `email` is theirs."""
        return bool(self.email) and self.email == self.confirmed_email

    @property
    def mailbox(self) -> str:
        """The address that letters about the account go to: the confirmed one, if there is one."""
        return self.confirmed_email or self.email

    def get_full_name(self) -> str:
        return self.username

    def get_short_name(self) -> str:
        return self.username

    @property
    def is_gone(self) -> bool:
        """Whether the user left for good."""
        return not self.is_active and self.username == f"{DELETED_NAME_PREFIX}{self.pk}"

    @property
    def looks_wanted(self) -> set[str]:
        """What the name looks like; nothing for a user who left."""
        return set() if self.is_gone else looks_of_username(self.username)

    def clean(self) -> None:
        """Raises ValidationError for a name that another user has or had, that looks like one, or that is reserved. A
        name that the user has already is not looked at: it may be older than these rules."""
        super().clean()
        name = normalized_username(self.username)
        before = type(self).objects.filter(pk=self.pk).values_list("username", flat=True).first() or ""
        if name == before or not is_valid_username(name):
            return
        try:
            if folded(name) != folded(before):
                validate_spelling(name)
                self._refuse_taken(name)
            self._refuse_lookalike(name)
        except ValidationError as error:
            raise ValidationError({"username": error}) from None

    def _refuse_taken(self, name: str) -> None:
        others = type(self).objects.named(name).exclude(pk=self.pk)
        # In this order: whoever leaves or takes another name reserves the old one in the same commit.
        if others.exists() or ReservedName.objects.of_name(name).exclude(user=self.pk).exists():
            raise ValidationError(_("This username is already taken. Choose another."), code="taken")
        if skeleton(name).startswith(DELETED_NAME_PREFIX) and not self.is_gone:
            raise ValidationError(_("This username is reserved for deleted accounts. Choose another."))

    def _refuse_lookalike(self, name: str) -> None:
        looks = looks_of_username(name)
        # In this order, as above. Users whose looks are not stored yet are found if their name is itself a look.
        others = type(self).objects.exclude(pk=self.pk)
        if (
            UserLook.objects.filter(look__in=looks).exclude(holder=self.pk).exists()
            or others.named(*looks).exists()
            or ReservedName.objects.of_look(*looks).exclude(user=self.pk).exists()
        ):
            raise _lookalike()

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """Raises ValidationError for a new name that looks like another user's, also if that is new as well."""
        self.username = normalized_username(self.username)
        self.username_folded = folded(self.username)
        if update_fields is not None and "username" in update_fields:
            update_fields = {*update_fields, "username_folded"}
        if not self.email:
            self.confirmed_email = ""
            if update_fields is not None and "email" in update_fields:
                update_fields = {*update_fields, "confirmed_email"}
        with committed(using=kwargs.get("using")):
            super().save(*args, update_fields=update_fields, **kwargs)
            written = update_fields is None or "password" in update_fields
            if written and self.previous is not None and self.previous.password != self.password:
                self.tokens.exclude(password_mark=self.password_mark).delete()
                self.sessions.exclude(session_key=self.renewed_session or "").end()
            if update_fields is None or "username" in update_fields:
                self._keep_names()

    def _keep_names(self) -> None:
        """Reserve the earlier name, and take the looks of the new one. Raises ValidationError as `_take_looks`."""
        before = self.previous
        if before is not None and before.username_folded != self.username_folded:
            ReservedName.objects.reserve(before.username, user=self)
        if before is None or before.username != self.username:
            self._take_looks()

    def _take_looks(self) -> None:
        """Raises ValidationError if another user has or had one of the looks, or takes it at the same time."""
        wanted = {self.pk: self.looks_wanted}
        UserLook.objects.take(wanted)
        had = ReservedName.objects.using(self._state.db).of_look(*wanted[self.pk]).exclude(user=self.pk)
        if UserLook.objects.lacking(wanted) or had.exists():
            raise ValidationError({"username": _lookalike()})

    @property
    def password_mark(self) -> str:
        """A mark of the stored password, SHA-256 in hexadecimal. What carries it ends when the password changes."""
        return hashlib.sha256(self.password.encode()).hexdigest()

    def check_password(self, raw_password: str | None) -> bool:
        """Whether this is the password. If its hash is outdated, it is stored anew, and tokens keep working."""
        checked = self.password

        def store_anew(raw_password: str) -> None:
            with committed():
                self.refresh_from_db(fields=["password"], from_queryset=User.objects.select_for_update(no_key=True))
                if self.password != checked:  # another request stored it anew, or changed it
                    return
                marks = [self.password_mark, ""]
                self.set_password(raw_password)
                self._password = None  # as in Django: the validators are not told of a change
                self.tokens.filter(password_mark__in=marks).update(password_mark=self.password_mark)
                self.save(update_fields=["password"])

        is_right = check_password(raw_password, checked, store_anew)
        return is_right and (self.password == checked or check_password(raw_password, self.password))

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Remove name, e-mail, password, tokens, factor, follows, memberships, blocks, mutes; texts and votes stay. The
        name goes from texts, notices and the log by an event, and stays reserved (`ReservedName`).

        The user's circles pass to their longest member; one without other members is moderated by the staff.
        """
        return self.leave(erase_texts=False, using=using)

    def leave(self, *, erase_texts: bool, using: str | None = None) -> tuple[int, dict[str, int]]:
        """As `delete`. erase_texts: whether the posts and comments go, too; an event erases them, chunk by chunk."""
        with committed(using=using):
            circles = list(self.owned_circles.inheritable()[: ENDED_AT_ONCE + 1])
            for circle in circles[:ENDED_AT_ONCE]:
                circle.pass_on()
            ended = [self._end_some(rows) for rows in (self.follows, self.followers, self.memberships)]
            if len(circles) > ENDED_AT_ONCE or not all(ended):
                emit(LeavingContinued(user_id=self.pk))
            for rows in (self.tokens, self.factors, self.blocks, self.mutes, self.sent_forms):
                rows.all().delete()
            self.username, self.email, self.is_active = f"{DELETED_NAME_PREFIX}{self.pk}", "", False
            self.is_staff = self.is_superuser = False
            self.last_login = None
            self.set_unusable_password()
            self.save(using=using)
            self.groups.clear()
            self.user_permissions.clear()
            self.sessions.all().end()
            redact(f"user/{self.pk}")
            of_user = ContentType.objects.get_for_model(User)
            LogEntry.objects.filter(content_type=of_user, object_id=str(self.pk)).update(object_repr=self.username)
            emit(AccountDeleted(user_id=self.pk, erase_texts=erase_texts))
        return 1, {self._meta.label: 1}

    def _end_some(self, rows: Any) -> bool:
        """End up to ENDED_AT_ONCE of these follows or memberships; returns whether that was all."""
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[: ENDED_AT_ONCE + 1])
        rows.filter(pk__in=ids[:ENDED_AT_ONCE]).delete()
        return len(ids) <= ENDED_AT_ONCE


def _lookalike() -> ValidationError:
    return ValidationError(_("This username looks like one that is taken or reserved. Choose another."), code="taken")
