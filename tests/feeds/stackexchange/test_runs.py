"""An import can be interrupted at any moment and started again; no row is imported twice."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError

from events.models import StoredEvent
from feeds.models import Comment, Follow, ImportedRow, Post, User, Vote
from feeds.stackexchange import step
from tests.feeds.stackexchange.dump_files import adds_up, answer, became, comment, graph, load, question, vote, write

MODELS = (User, Follow, Post, Comment, Vote, ImportedRow, StoredEvent)


def sizes() -> dict[str, int]:
    """The number of rows of each kind."""
    return {model.__name__: model.objects.count() for model in MODELS}


@pytest.fixture
def dump(tmp_path):
    """A dump with a dozen or more rows of each kind."""
    numbers = range(1, 13)
    posts = [question(number, number) for number in numbers] + [answer(20 + n, n, 13 - n) for n in numbers]
    return write(
        tmp_path / "garden",
        posts=posts,
        comments=[comment(number, number, 20 + number) for number in numbers],
        votes=[vote(number, 1 + number % 12) for number in range(1, 40)],
    )


@pytest.fixture
def edges(tmp_path):
    """A graph of twenty nodes."""
    return graph(tmp_path / "graph.txt", *(f"{number} {1 + number % 7}" for number in range(8, 28)))


@pytest.mark.django_db
def test_a_second_run_does_nothing(dump, edges):
    load(dump, edges=edges)
    before = sizes()
    report = load(dump, edges=edges)
    assert sizes() == before
    assert sum(tally.imported for tally in report.values()) == 0
    assert adds_up(report)


@pytest.mark.django_db
@pytest.mark.parametrize("chunk", [1, 3, 8, 17])
def test_a_run_that_fails_goes_on_where_it_stopped(dump, edges, monkeypatch, chunk):
    monkeypatch.setattr(step, "ROWS_PER_TRANSACTION", 5)
    load(dump, edges=edges, source="whole")
    whole = sizes()
    tell, told = step.emit_for_new_rows, []

    def tell_and_break(rows):
        told.append(rows)
        if len(told) == chunk:
            raise OSError("the plug was pulled")
        tell(rows)

    monkeypatch.setattr(step, "emit_for_new_rows", tell_and_break)
    with pytest.raises(OSError, match="plug"):
        load(dump, edges=edges)
    for model, kind in ((Post, "post"), (Follow, "follow"), (Vote, "vote")):
        assert model.objects.count() - whole[model.__name__] == len(imported("garden", kind))
    monkeypatch.setattr(step, "emit_for_new_rows", tell)
    assert adds_up(load(dump, edges=edges))
    assert sizes() == {name: 2 * number for name, number in whole.items()}
    assert votes_by_node("garden") == votes_by_node("whole")


def imported(source: str, kind: str) -> dict[int, str]:
    """Our ids by the ids in the source."""
    rows = ImportedRow.objects.filter(source=source, kind=kind)
    return dict(rows.values_list("object_id", "external_id"))


def votes_by_node(source: str) -> dict[str, str]:
    """The node that cast each vote, by ids in the source."""
    votes, nodes = imported(source, "vote"), imported(source, "node")
    return {votes[pk]: nodes[user] for pk, user in Vote.objects.filter(pk__in=votes).values_list("pk", "user")}


def test_an_import_that_is_killed_goes_on_where_it_stopped(manage, tmp_path, eventually):
    posts = [question(number, number % 90) for number in range(1, 4001)]
    folder = write(tmp_path / "large", posts=posts, votes=[vote(number, number) for number in range(1, 4001)])
    process = manage("import_stackexchange", str(folder))
    eventually(lambda: Post.objects.exists() or process.poll() is not None, within=60)
    manage.kill(process)
    survived = Post.objects.count()
    assert 0 < survived < 4000
    assert StoredEvent.objects.filter(topic="post.published").count() == survived
    assert ImportedRow.objects.filter(kind="post").count() == survived
    call_command("import_stackexchange", str(folder))
    assert (Post.objects.count(), Vote.objects.count()) == (4000, 4000)
    assert StoredEvent.objects.filter(topic="post.published").count() == 4000
    assert StoredEvent.objects.filter(topic="vote.created").count() == 4000


@pytest.mark.django_db
def test_a_newer_dump_brings_what_is_new(dump, tmp_path):
    load(dump)
    posts = [question(number, number) for number in range(1, 15)]
    report = load(write(tmp_path / "newer", posts=posts))
    assert (report["posts"].already, report["posts"].imported) == (12, 2)
    assert (report["users"].already, report["users"].imported) == (12, 2)


@pytest.mark.django_db
def test_what_people_take_back_does_not_return(dump, edges):
    load(dump, edges=edges)
    Follow.objects.first().delete()
    Vote.objects.first().delete()
    before = sizes()
    load(dump, edges=edges)
    assert sizes() == before


@pytest.mark.django_db
def test_two_sites_may_use_the_same_ids(tmp_path):
    load(write(tmp_path / "a", posts=[question(1, 5, Title="Of a")]), source="a")
    load(write(tmp_path / "b", posts=[question(1, 5, Title="Of b")]), source="b")
    assert set(Post.objects.values_list("title", "author__username")) == {("Of a", "se-5"), ("Of b", "se-5-2")}
    assert became("user", 5, source="a") != became("user", 5, source="b")


@pytest.mark.django_db
def test_rows_that_someone_else_imports_meanwhile_are_left_to_them(dump, monkeypatch):
    """As after a chunk that waited for another import's commit and then met its rows."""
    create, one_by_one = step._create, step.Step._one_by_one
    theirs = []

    def create_and_lose(rows):
        if isinstance(rows[0], Post) and not theirs:
            raise IntegrityError("UNIQUE constraint failed")
        create(rows)

    def one_by_one_after_theirs(self, chunk):
        theirs.append(ImportedRow.objects.create(source="garden", kind="post", external_id="1", object_id=0))
        one_by_one(self, chunk)

    monkeypatch.setattr(step, "_create", create_and_lose)
    monkeypatch.setattr(step.Step, "_one_by_one", one_by_one_after_theirs)
    report = load(dump)
    assert (report["posts"].imported, report["posts"].already, report["posts"].skipped) == (11, 1, {})
    assert Post.objects.count() == 11
    assert adds_up(report)


@pytest.mark.django_db
@pytest.mark.parametrize("error", [OSError("no space left"), MemoryError()])
def test_what_is_wrong_with_the_machine_ends_the_import_and_skips_no_row(dump, monkeypatch, error):
    def create(rows):
        raise error

    monkeypatch.setattr(step, "_create", create)
    with pytest.raises(type(error)):
        load(dump)
    monkeypatch.undo()
    report = load(dump)
    assert report["posts"].imported == 12
    assert adds_up(report)
