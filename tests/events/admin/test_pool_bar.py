"""The pool bar: a pool's figures as people read them, and the admin's pages that show them."""

import datetime as dt
import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone, translation

from events.admin.pool_bar import BAR_WIDTH, LEAST_WIDTH, figures, pool_bar, share, taken_width
from events.models import Process

pytestmark = pytest.mark.home

ADDRESS = "/admin/events/process/"


def pool_figures(running: int, capacity: int, *, waiting: int = 0, threads: int = 6) -> dict[str, int]:
    totals = {"submitted": 1234567, "completed": 1234000, "failed": 3, "cancelled": 1, "rejected": 0}
    free = max(0, capacity - running)
    return totals | {"running": running, "free": free, "waiting": waiting, "capacity": capacity, "threads": threads}


@pytest.mark.parametrize(
    ("running", "capacity", "percent"),
    [(4, 4, "100%"), (0, 10_000, "0%"), (3, 10_000, "<1%"), (9_999, 10_000, ">99%"), (1, 3, "33%"), (5, 4, "125%")],
)
def test_a_percentage_says_nothing_and_all_of_nothing_and_all_alone(running: int, capacity: int, percent: str) -> None:
    assert share(running, capacity) == percent
    assert f"<b>{percent.replace('<', '&lt;').replace('>', '&gt;')}</b>" in pool_bar(pool_figures(running, capacity))


def test_one_of_many_is_seen_and_one_short_of_all_too() -> None:
    assert taken_width(0, 10_000) == 0
    assert taken_width(3, 10_000) == LEAST_WIDTH
    assert taken_width(9_999, 10_000) == BAR_WIDTH - LEAST_WIDTH
    assert taken_width(4, 4) == taken_width(5, 4) == BAR_WIDTH
    assert taken_width(1, 2) == BAR_WIDTH / 2


def test_a_full_pool_says_so_in_words_and_shows_who_waits() -> None:
    drawn = pool_bar(pool_figures(4, 4, waiting=2))
    assert 'aria-label="4 of 4 slots in use, 2 waiting"' in drawn
    assert "</b> full</div>" in drawn
    assert 'class="queue"' in drawn
    drawn = pool_bar(pool_figures(3, 4))
    assert "full" not in drawn
    assert 'class="queue"' not in drawn


def test_few_slots_are_drawn_one_by_one_and_many_as_a_whole() -> None:
    assert pool_bar(pool_figures(1, 4)).count("<line") == 3
    assert pool_bar(pool_figures(1, 10_000)).count("<line") == 0


def test_numbers_are_grouped_as_readers_of_the_language_do() -> None:
    assert "3 of 10,000 slots in use" in pool_bar(pool_figures(3, 10_000))
    assert "capacity <b>10,000</b>" in figures(pool_figures(3, 10_000))
    with translation.override("de"):
        assert "<b>10.000</b>" in figures(pool_figures(3, 10_000))


def test_a_row_without_figures_is_no_error() -> None:
    assert pool_bar({}) == "—"
    assert figures({}) == ""


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("operator", password="x"))
    return client


def process(pid: int, *, ago: float = 0, relay_active: bool = False, pool: dict[str, int] | None = None) -> Process:
    beat_at = timezone.now() - dt.timedelta(seconds=ago)
    found = {"pool": pool or pool_figures(3, 10_000), "relay_active": relay_active}
    return Process.objects.create(kind="worker", host="here", pid=pid, beat_at=beat_at, figures=found)


def row_of(page: str, pid: int) -> str:
    found = re.search(rf"worker {pid}@here.*?</tr>", page, re.S)
    assert found
    return found.group()


@pytest.mark.django_db
def test_the_list_draws_each_pool_and_says_who_is_silent_and_whose_relay_is_active(operator: Client) -> None:
    process(1, relay_active=True, pool=pool_figures(4, 4, waiting=2))
    process(2)
    dead = process(3, ago=300, relay_active=True)
    page = operator.get(ADDRESS).content.decode()
    assert '<td class="field-relay">active</td>' in row_of(page, 1)
    assert "alive" in row_of(page, 1)
    assert "4 of 4 slots in use, 2 waiting" in row_of(page, 1)
    for one in ("running <b>4</b>", "free <b>0</b>", "waiting <b>2</b>", "capacity <b>4</b>", "threads <b>6</b>"):
        assert one in row_of(page, 1)
    assert '<td class="field-relay">standby</td>' in row_of(page, 2)
    assert '<td class="field-relay">—</td>' in row_of(page, 3)
    since = timezone.localtime(dead.beat_at).strftime("%Y-%m-%d %H:%M:%S")
    assert f"no heartbeat since {since}" in row_of(page, 3)


@pytest.mark.django_db
def test_the_pages_of_processes_refresh_themselves_and_no_others_do(operator: Client) -> None:
    shown = process(1)
    assert operator.get(ADDRESS)["Refresh"] == "5"
    assert operator.get(f"{ADDRESS}{shown.pk}/change/")["Refresh"] == "5"
    assert "Refresh" not in operator.get(f"{ADDRESS}{shown.pk + 1}/change/")
    assert "Refresh" not in operator.get("/admin/events/subscription/")
    assert "Refresh" not in Client().get(ADDRESS)


@pytest.mark.django_db
def test_a_process_page_shows_what_became_of_its_tasks(operator: Client) -> None:
    page = operator.get(f"{ADDRESS}{process(1).pk}/change/").content.decode()
    assert "3 of 10,000 slots in use" in page
    assert "submitted <b>1,234,567</b>" in page
    assert "failed <b>3</b>" in page


@pytest.mark.django_db
def test_a_worker_shows_its_busy_threads_and_what_they_run(operator: Client) -> None:
    shown = process(1)
    process(2)
    runs = [{"subscriber": "shop.<b>", "since": "2026-01-01T00:00:00+00:00"}]
    Process.objects.filter(pk=shown.pk).update(figures=shown.figures | {"threads": 8, "busy": 1, "runs": runs})
    page = operator.get(ADDRESS).content.decode()
    assert '<td class="field-busy">1 of 8</td>' in row_of(page, 1)
    assert '<td class="field-busy">—</td>' in row_of(page, 2)
    page = operator.get(f"{ADDRESS}{shown.pk}/change/").content.decode()
    assert "shop.&lt;b&gt; · 2026-01-01T00:00:00+00:00" in page


@pytest.mark.django_db
def test_the_list_takes_as_many_statements_for_one_process_as_for_forty(
    operator: Client, django_assert_max_num_queries
) -> None:
    for pid in range(40):
        process(pid)
    operator.get(ADDRESS)
    with django_assert_max_num_queries(5):
        operator.get(ADDRESS)
