"""Looks where no action is asked: in the admin, by commands, in bulk, and of names that are older than looks."""

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from feeds.batch import chunks
from feeds.models import Circle, CircleLook, ReservedName, User, UserLook
from tests.support.command_output import command_output
from tests.support.factories import CircleFactory, UserFactory
from tests.support.ways_to_write import change_in_admin, staff_client

pytestmark = pytest.mark.django_db


def looks() -> dict[str, list[str]]:
    """The looks of each user."""
    return {user.username: sorted(user.looks.values_list("look", flat=True)) for user in User.objects.order_by("pk")}


def as_older_releases_wrote(*names: str) -> list[User]:
    """Users without a stored look."""
    users = [UserFactory(username=f"of-before-{number}") for number in range(len(names))]
    UserLook.objects.filter(holder__in=users).delete()
    for user, name in zip(users, names, strict=True):
        User.objects.filter(pk=user.pk).update(username=name, username_folded=name.casefold())
        user.refresh_from_db()
    return users


def add_in_admin(client: Client, name: str) -> str:
    """The error under the name; empty if the user was added."""
    data = {"username": name, "usable_password": "false", "password1": "", "password2": ""}
    answer = client.post(reverse("admin:feeds_user_add"), data)
    return "" if answer.status_code == 302 else " ".join(answer.context["adminform"].form.errors.get("username", []))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("b0b", "This username looks like one that is taken or reserved. Choose another."),
        ("аlice", "This username mixes scripts whose letters look alike. Use letters of one script."),
        ("adm1n", "This username is reserved. Choose another."),
        ("carol", ""),
    ],
)
def test_the_form_of_the_admin_refuses_what_registration_refuses(name: str, error: str) -> None:
    UserFactory(username="bob")
    assert add_in_admin(staff_client(), name) == error
    assert User.objects.named(name).exists() is (error == "")


def test_the_admin_changes_the_rest_of_a_user_with_an_older_name() -> None:
    UserFactory(username="bob")
    (old,) = as_older_releases_wrote("b0b")
    change_in_admin(staff_client(), old, email="bob@example.org")
    old.refresh_from_db()
    assert (old.username, old.email) == ("b0b", "bob@example.org")


@pytest.mark.parametrize("name", ["admin", "support"])
def test_a_superuser_made_by_the_command_may_have_a_reserved_name(name: str) -> None:
    command_output("createsuperuser", "--no-input", "--username", name, "--email", "a@example.org")
    assert User.objects.get().username == name


@pytest.mark.parametrize("gone", [False, True])
def test_the_command_refuses_a_superuser_who_looks_like_another_user(gone: bool) -> None:
    bob = UserFactory(username="bob")
    if gone:
        bob.leave(erase_texts=False)
    with pytest.raises(CommandError, match="This username looks like one that is taken or reserved"):
        command_output("createsuperuser", "--no-input", "--username", "b0b", "--email", "b@example.org")
    assert User.objects.count() == 1


def test_a_model_is_saved_under_the_same_rule() -> None:
    UserFactory(username="bob")
    carol = UserFactory(username="carol")
    carol.username = "B0B"
    with pytest.raises(ValidationError), transaction.atomic():
        carol.save()
    assert set(User.objects.values_list("username", flat=True)) == {"bob", "carol"}


def test_the_database_keeps_a_look_for_one_user() -> None:
    UserFactory(username="bob")
    carol = UserFactory(username="carol")
    with pytest.raises(IntegrityError), transaction.atomic():
        UserLook.objects.create(look="bob", holder=carol)


def test_users_written_in_bulk_take_the_looks_that_are_free() -> None:
    UserFactory(username="bob")
    User.objects.bulk_create(User(username=name, username_folded=name) for name in ("b0b", "carol"))
    assert looks() == {"bob": ["bob"], "b0b": [], "carol": ["carol"]}


def test_names_of_before_are_filled_and_nothing_of_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "ROWS_PER_CHUNK", 2)
    *_, last = as_older_releases_wrote("anna", "bob", "b0b", "Ian", "сосо")
    CircleLook.objects.filter(holder=CircleFactory(slug="golang", owner=last)).delete()
    same = CircleFactory(slug="other", owner=last)
    Circle.objects.filter(pk=same.pk).update(slug="go1ang")
    said = command_output("fill_looks", "--jobs", "1")
    assert said.splitlines() == [
        "5 users done, and all circles.",
        "b0b looks like another one, which has the look. Both keep working.",
        "go1ang looks like another one, which has the look. Both keep working.",
    ]
    assert looks() == {"anna": ["anna"], "bob": ["bob"], "b0b": [], "Ian": ["ian", "lan"], "сосо": ["coco"]}
    assert command_output("fill_looks", "--jobs", "1") == said
    for user in User.objects.all():
        user.save()


def test_filling_goes_on_after_a_place() -> None:
    first, _ = as_older_releases_wrote("anna", "bob")
    command_output("fill_looks", "--after", str(first.pk))
    assert looks() == {"anna": [], "bob": ["bob"]}


def test_filling_follows_what_an_older_release_renamed_or_deleted_meanwhile() -> None:
    renamed, gone = UserFactory(username="anna"), UserFactory(username="bob")
    User.objects.filter(pk=renamed.pk).update(username="anne", username_folded="anne")
    name = f"deleted-{gone.pk}"
    User.objects.filter(pk=gone.pk).update(username=name, username_folded=name, is_active=False)
    command_output("fill_looks")
    assert looks() == {"anne": ["anne"], name: []}
    assert ReservedName.objects.of_look("bob").get().user == gone


@pytest.mark.parametrize("name", ["сосо", "СОСО"])
def test_a_latin_name_of_before_is_found_before_it_is_filled(name: str) -> None:
    as_older_releases_wrote("coco")
    user = User(username=name)
    with pytest.raises(ValidationError):
        user.clean()
