"""Circles: an address that passes for another one is refused."""

import pytest

from feeds import actions
from feeds.errors import InvalidError, TakenError
from feeds.models import Circle, CircleLook
from tests.support.beside import transaction_beside
from tests.support.factories import CircleFactory, UserFactory
from tests.support.refusals import refused

pytestmark = pytest.mark.django_db


def create(slug: str) -> Circle:
    return actions.create_circle(UserFactory(), name="A circle", slug=slug)


@pytest.mark.parametrize(
    ("taken", "slug"),
    [("golang", "go1ang"), ("web20", "web2o"), ("голос", "гoлоc"), ("сосо", "coco"), ("力士", "カ士")],
)
def test_an_address_that_looks_like_another_one_is_refused(taken: str, slug: str) -> None:
    CircleFactory(slug=taken)
    with pytest.raises(InvalidError):
        create(slug)


@pytest.mark.parametrize("slug", ["pythоn", "русский-чaт"])
def test_an_address_with_a_word_of_several_scripts_is_refused(slug: str) -> None:
    refused(InvalidError, "slug", act=lambda: create(slug))


@pytest.mark.parametrize(
    ("taken", "slug"), [("modern", "modem"), ("stern", "stem"), ("tail", "tall"), ("cafe", "café"), ("读书", "读书会")]
)
def test_addresses_that_can_be_told_apart_stand_side_by_side(taken: str, slug: str) -> None:
    CircleFactory(slug=taken)
    assert create(slug).slug == slug


@pytest.mark.parametrize("slug", ["python-для-всех", "日本語カフェ", "python中文", "한국어-python", "тест_test"])
def test_words_of_several_scripts_stand_in_one_address(slug: str) -> None:
    assert create(slug).slug == slug


def test_a_circle_with_an_older_address_is_saved_as_before() -> None:
    first, second = CircleFactory(slug="golang"), CircleFactory(slug="other")
    Circle.objects.filter(pk=second.pk).update(slug="go1ang")
    second.refresh_from_db()
    second.name = "Another name"
    second.full_clean()
    second.save()
    assert list(CircleLook.objects.filter(look="golang").values_list("holder", flat=True)) == [first.pk]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_who_make_such_circles_at_once_one_succeeds() -> None:
    anna, bob = UserFactory(), UserFactory()
    second = lambda: actions.create_circle(bob, name="B", slug="go1ang")  # noqa: E731
    with transaction_beside(second) as outcome:
        actions.create_circle(anna, name="A", slug="golang")
    assert isinstance(outcome[0], TakenError)
    assert list(Circle.objects.values_list("slug", flat=True)) == ["golang"]
