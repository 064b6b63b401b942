"""Keep times: which pattern decides, and what is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from events.checks import check_keep_times
from events.keep import KeepTimes, as_keep_times

DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        ("vote.created", 30 * DAY),
        ("vote.deleted", 2 * DAY),
        ("comment.voted", dt.timedelta(hours=36)),
        ("post.published", None),
        ("post.updated", 365 * DAY),
        ("x", 365 * DAY),
    ],
)
def test_the_pattern_with_the_most_words_written_out_decides(topic: str, kept: dt.timedelta | None) -> None:
    given = "*=365d, vote.*=30d,vote.deleted=2d, *.voted=36h, post.published=forever, #=100d"
    assert KeepTimes(as_keep_times(given)).of(topic) == kept


def test_of_two_that_fit_alike_the_longer_time_decides() -> None:
    assert KeepTimes(as_keep_times("vote.*=30d, *.created=40d")).of("vote.created") == 40 * DAY
    assert KeepTimes(as_keep_times("vote.*=30d, *.created=forever")).of("vote.created") is None


def test_a_project_may_give_days_or_timedeltas() -> None:
    assert as_keep_times({"#": 365, "vote.*": DAY, "post.*": None}) == {"#": 365 * DAY, "vote.*": DAY, "post.*": None}


@pytest.mark.parametrize(
    ("given", "longest"),
    [("vote.*=30d", None), ("*=10d,vote.*=30d", 30 * DAY), ("#=10d,post.*=forever", None), ("", None)],
)
def test_the_longest_time_is_known_where_every_topic_has_one(given: str, longest: dt.timedelta | None) -> None:
    assert KeepTimes(as_keep_times(given)).longest() == longest


@pytest.mark.parametrize(
    "given", ["30d", "vote.*", "vote.*=30", "vote.*=soon", "Vote=30d", "vote.*=1m", {"vote.*": 0}, {"vote.*": 1.5}, 30]
)
def test_what_is_no_keep_time_is_refused_with_the_form_that_it_takes(given: Any, settings: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"EVENTS_KEEP"):
        as_keep_times(given)
    settings.EVENTS_KEEP = given
    assert [one.id for one in check_keep_times()] == ["events.E014"]
