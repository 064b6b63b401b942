"""Names that pass for another one are refused, and so are reserved ones."""

import pytest

from feeds import actions
from feeds.errors import InvalidError, TakenError
from feeds.models import User, UserLook
from tests.support.beside import transaction_beside
from tests.support.factories import UserFactory
from tests.support.refusals import refused

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


def register(name: str):
    return actions.register(username=name, password=PASSWORD)


@pytest.mark.parametrize(
    "name",
    [
        "admin", "Admin", "ＡＤＭＩＮ", "аdmin", "ɑdmin", "admın", "ådmin", "root", "system", "moderator", "me", "api",
        "new", "login",
        "settings", "support", "constructor", "_admin_", "admin-", "ᴀᴅᴍɪɴ", "adm1n", "admln", "r00t", "rnoderator",
        "deIeted-7",
    ],
)  # fmt: skip
def test_a_reserved_name_is_refused_however_it_is_written(name):
    with pytest.raises(InvalidError):
        register(name)


@pytest.mark.parametrize("name", ["-", "---", "_", "-_-"])
def test_a_name_needs_a_letter_or_a_digit(name):
    with pytest.raises(InvalidError) as refusal:
        register(name)
    assert refusal.value.message == "Use at least one letter or digit."


@pytest.mark.parametrize("name", ["аррlе", "pаypal", "αlice", "жanna", "annaհ", "هanna汉", "ไทยहिन्दी"])
def test_a_name_that_mixes_scripts_is_refused(name):
    with pytest.raises(InvalidError):
        register(name)


@pytest.mark.parametrize(
    "name",
    ["anna", "张三", "anna张", "田中さくら", "アンナanna", "김철수kim", "Жанна", "Ελένη", "محمد", "हिन्दी2",
     "ไทย_anna", "josé-1", "2024",
     "administrador", "newton"],
)  # fmt: skip
def test_a_name_of_any_script_is_taken_and_so_are_mixtures_that_people_write(name):
    assert register(name).username == name


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        ("coco", "сосо"), ("coco", "СОСО"), ("oooo", "οοοο"), ("anna", "ɑnnɑ"),
        ("сосо", "coco"), ("СОСО", "Coco"), ("анна", "ahha"),
        ("alice", "aIice"), ("ALICE", "aIice"), ("alice", "a1ice"), ("Ian", "lan"), ("lan", "Ian"),
        ("bob", "b0b"), ("BOB", "b0b"), ("b0b", "bob"), ("Mary", "rnary"), ("rnary", "MARY"),
        ("工藤", "エ藤"), ("ロ口", "口ロ"),
    ],
)  # fmt: skip
def test_a_name_that_looks_like_anothers_is_taken(taken, name):
    UserFactory(username=taken)
    refused(TakenError, "username", act=lambda: register(name))


@pytest.mark.parametrize(
    ("taken", "name"),
    [("ian", "lan"), ("Delia", "Della"), ("anna", "anna-"), ("jose", "josé"), ("anna1", "anna2"), ("Adam", "Aiden"),
     ("张三", "张二"), ("бор", "bop")],
)  # fmt: skip
def test_names_that_can_be_told_apart_stand_side_by_side(taken, name):
    UserFactory(username=taken)
    assert register(name).username == name


@pytest.mark.parametrize("name", ["a1ice", "aIice", "ALlCE", "Alice"])
def test_what_looks_like_a_name_that_is_gone_stays_reserved_as_digests_only(name):
    actions.delete_account(register("ALICE"))
    refused(TakenError, "username", act=lambda: register(name))
    assert not UserLook.objects.exists()


def test_who_takes_another_name_gives_up_its_look_to_nobody_else():
    anna = register("Ian")
    actions.change_account(anna, username="anna")
    refused(TakenError, "username", act=lambda: register("lan"))
    assert actions.change_account(anna, username="lan").username == "lan"


def test_a_new_case_of_ones_name_may_not_look_like_another_name():
    register("lan")
    ian = register("ian")
    refused(TakenError, "username", act=lambda: actions.change_account(ian, username="Ian"))
    assert actions.change_account(ian, username="iAn").username == "iAn"


def test_who_has_such_a_name_keeps_it():
    user = UserFactory(username="support")
    assert actions.change_account(user, username="Support").username == "Support"


def test_who_looks_like_another_from_before_keeps_the_name_and_changes_the_rest():
    first = UserFactory(username="anna-1")
    UserLook.objects.all().delete()
    second = UserFactory(username="anna-l")
    UserLook.objects.update(holder=first)
    changed = actions.change_account(second, username="anna-l", email="anna@example.org")
    assert (changed.username, changed.email) == ("anna-l", "anna@example.org")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["сосо", "c0co", "COCO"])
def test_of_two_who_register_such_names_at_once_one_succeeds(name):
    with transaction_beside(lambda: register(name)) as outcome:
        register("coco")
    assert isinstance(outcome[0], TakenError)
    assert outcome[0].message
    assert list(User.objects.values_list("username", flat=True)) == ["coco"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_who_take_such_names_at_once_one_succeeds():
    anna, bob = register("anna"), register("bob")
    with transaction_beside(lambda: actions.change_account(bob, username="c0co")) as outcome:
        actions.change_account(anna, username="coco")
    assert isinstance(outcome[0], TakenError)
    assert set(User.objects.values_list("username", flat=True)) == {"coco", "bob"}
