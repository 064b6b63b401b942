"""Ranking: the formulas, compared with values computed from their published sources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.ranking import HOT_EPOCH, confidence, controversy, hot

votes = st.integers(min_value=0, max_value=10**9)


@pytest.mark.parametrize(
    ("upvotes", "downvotes", "epoch", "rank"),
    [
        (0, 0, HOT_EPOCH, 0),
        (10, 0, HOT_EPOCH, 1),
        (0, 10, HOT_EPOCH, -1),
        (1, 0, 1.7e9, 12577.1554889),
        (100, 20, 1.7e9, 12579.0585789),
        (1000, 0, 1.7e9, 12580.1554889),
        (10, 0, 1700045000, 12579.1554889),
        (20, 100, 1.7e9, 12575.2523989),
        (5, 5, 1.7e9, 12577.1554889),
    ],
)
def test_hot_is_reddits(upvotes, downvotes, epoch, rank):
    assert hot(upvotes, downvotes, epoch) == pytest.approx(rank, abs=1e-6)


@pytest.mark.parametrize(
    ("upvotes", "downvotes", "rank"),
    [
        (0, 0, 0),
        (1, 0, 0.3784475),
        (0, 1, 0),
        (1, 1, 0.1642517),
        (10, 0, 0.8589313),
        (10, 1, 0.7394950),
        (60, 40, 0.5360896),
        (100, 1, 0.9674802),
        (400, 100, 0.7761092),
        (5, 1, 0.5746714),
    ],
)
def test_confidence_is_the_lower_bound_of_wilsons_interval(upvotes, downvotes, rank):
    assert confidence(upvotes, downvotes) == pytest.approx(rank, abs=1e-6)


@pytest.mark.parametrize(
    ("upvotes", "downvotes", "rank"),
    [
        (0, 5, 0),
        (5, 0, 0),
        (1, 1, 2),
        (5, 5, 10),
        (10, 5, 3.8729833),
        (5, 10, 3.8729833),
        (100, 99, 188.7402586),
        (100, 1, 1.0472327),
        (50, 50, 100),
        (3, 2, 2.9240177),
    ],
)
def test_controversy_is_reddits(upvotes, downvotes, rank):
    assert controversy(upvotes, downvotes) == pytest.approx(rank, abs=1e-6)


@given(votes, votes)
def test_confidence_stays_between_0_and_1(upvotes, downvotes):
    assert 0 <= confidence(upvotes, downvotes) <= 1


@given(votes, votes)
def test_one_more_upvote_never_lowers_a_rank(upvotes, downvotes):
    assert hot(upvotes + 1, downvotes, 1.7e9) >= hot(upvotes, downvotes, 1.7e9)
    assert confidence(upvotes + 1, downvotes) >= confidence(upvotes, downvotes) - 1e-9


def test_counts_below_zero_on_the_way_rank_like_none():
    # The removal of a vote may be counted before the vote.
    assert confidence(-1, 0) == 0
    assert controversy(-1, 3) == 0
    assert hot(-1, 0, 1.7e9) == hot(0, 1, 1.7e9)


def test_ten_times_the_net_votes_make_up_for_twelve_and_a_half_hours():
    assert hot(10, 0, 1.7e9) == pytest.approx(hot(100, 0, 1.7e9 - 45000), abs=1e-6)
