"""The users that the importer makes of users, authors and nodes, and the voters that it draws."""

import pytest

from feeds.models import Comment, Follow, Post, User, Vote
from feeds.stackexchange.usernames import username_of
from feeds.stackexchange.votes import candidates, draw
from tests.feeds.stackexchange.dump_files import (
    adds_up,
    answer,
    became,
    comment,
    graph,
    load,
    question,
    user,
    vote,
    write,
)
from tests.support.factories import UserFactory

pytestmark = pytest.mark.django_db


def named(number: int | str, kind: str = "user", **source: str) -> str:
    """The username of an imported user."""
    name: str = User.objects.get(pk=became(kind, number, **source)).username
    return name


def test_people_are_named_as_in_the_table_of_users(tmp_path):
    people = [user(1, "Anna Meyer"), user(2, "小雨"), user(3, "ANNA  MEYER"), user(4, "😀"), user(-1, "Community")]
    report = load(write(tmp_path / "dump", users=people))
    assert [named(number) for number in (1, 2, 3, 4, -1)] == ["Anna-Meyer", "小雨", "ANNA-MEYER-2", "se-4", "Community"]
    assert User.objects.get(username="小雨").date_joined.year == 2013
    assert report["users"].imported == 5


def test_without_a_table_of_users_people_are_named_by_number_or_by_the_name_that_was_kept(tmp_path):
    posts = [question(1, 12), question(2, "", OwnerDisplayName="user39"), question(3, -1)]
    load(write(tmp_path / "dump", posts=posts, comments=[comment(1, "", 1, UserDisplayName="user39")]))
    assert set(User.objects.values_list("username", flat=True)) == {"se-12", "user39", "se-community"}
    assert Comment.objects.get().author == Post.objects.get(pk=became("post", 2)).author


def test_authors_whom_the_table_of_users_lacks_are_added(tmp_path):
    report = load(write(tmp_path / "dump", users=[user(1, "Anna")], posts=[question(1, 1), question(2, 2)]))
    assert [named(number) for number in (1, 2)] == ["Anna", "se-2"]
    assert report["users"].read == 2


def test_names_that_people_here_have_are_left_to_them(tmp_path):
    here = UserFactory(username="anna")
    load(write(tmp_path / "dump", users=[user(1, "Anna"), *(user(number, "Bo") for number in range(20, 34))]))
    assert named(1) == "Anna-2"
    assert User.objects.named("anna").get() == here
    assert [named(number) for number in (20, 21, 28, 29, 33)] == ["Bo", "Bo-2", "Bo-9", "Bo-29", "Bo-33"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ｊｏ\u3000Ｄｏｅ", "Jo-Doe"),
        ("x" * 40, "x" * 30),
        ("deleted-7", "se-5"),
        ("<script>", "script"),
        ("a_b-c", "a_b-c"),
        ("\u0301", "se-5"),
        ("", "se-5"),
    ],
)
def test_any_name_becomes_a_valid_username(name, expected):
    made = username_of(name, external_id="5")
    assert made == expected
    User(username=made).full_clean(exclude=["password"])


def test_the_imported_cannot_sign_in_and_count_as_active(tmp_path):
    load(write(tmp_path / "dump", posts=[question(1, 1)]))
    someone = User.objects.get()
    assert not someone.has_usable_password()
    assert someone.is_active
    assert (someone.last_seen_at - someone.date_joined).days > 365


def test_the_most_active_author_is_the_most_followed_node(tmp_path):
    posts = [question(1, 7), question(2, 8), answer(3, 7, 2)]
    folder = write(tmp_path / "dump", posts=posts, comments=[comment(1, 8, 1), comment(2, 7, 1)])
    report = load(folder, edges=graph(tmp_path / "graph.txt", "1 30", "2 30", "1 4", "2 3", "30 2"))
    # 30 has two followers; 2, 3 and 4 have one each, and are ordered by number; 1 has none.
    assert became("node", 30) == became("user", 7)
    assert became("node", 2) == became("user", 8)
    assert [named(node, "node") for node in (3, 4, 1)] == ["wiki-3", "wiki-4", "wiki-1"]
    assert User.objects.count() == 5
    assert Follow.objects.filter(followee=became("user", 7)).count() == 2
    assert report["users of the graph"].remarks == {"are authors": 2}
    assert adds_up(report)


def test_a_graph_that_comes_later_merges_with_the_authors_who_are_here(tmp_path):
    folder = write(tmp_path / "dump", posts=[question(1, 7)])
    load(folder)
    load(folder, edges=graph(tmp_path / "graph.txt", "1 2"))
    report = load(folder, edges=graph(tmp_path / "other.txt", "1 2", "3 5", "4 5"))
    # In the second graph node 5 has the most followers, but the author was matched with node 2 before.
    assert became("node", 2) == became("user", 7)
    assert named(5, "node") == "wiki-5"
    assert (report["follows"].imported, report["follows"].already) == (2, 1)


def test_without_a_graph_the_authors_vote_and_nobody_follows(tmp_path):
    load(write(tmp_path / "dump", posts=[question(1, 1), question(2, 2)], votes=[vote(1, 1), vote(2, 2)]))
    assert set(Vote.objects.values_list("user", "entity_id")) == {
        (became("user", 2), became("post", 1)),
        (became("user", 1), became("post", 2)),
    }
    assert not Follow.objects.exists()


def test_voters_are_of_the_graph_and_distinct_and_never_the_author(tmp_path):
    folder = write(
        tmp_path / "dump",
        posts=[question(1, 1), answer(2, 2, 1)],
        votes=[vote(number, 1 + number % 2) for number in range(1, 11)],
    )
    load(folder, edges=graph(tmp_path / "graph.txt", "1 2", "3 2", "4 1", "5 1", "6 1"))
    nodes = {became("node", node) for node in range(1, 7)}
    for entity_type, external in (("post", 1), ("answer", 2)):
        author = became("user", external)
        on = Vote.objects.filter(
            entity_id=became(entity_type, external), entity_type={"answer": "comment"}.get(entity_type, "post")
        )
        assert set(on.values_list("user", flat=True)) == nodes - {author}


def test_more_votes_than_voters_are_reported(tmp_path):
    folder = write(tmp_path / "dump", posts=[question(1, 1), question(2, 2)], votes=[vote(n, 1) for n in range(1, 4)])
    report = load(folder)
    assert report["votes"].skipped == {"no voter left": 2}
    assert Vote.objects.count() == 1


def test_voters_are_drawn_the_same_each_time(tmp_path):
    folder = write(tmp_path / "dump", posts=[question(1, 1)], votes=[vote(number, 1) for number in range(1, 9)])
    edges = graph(tmp_path / "graph.txt", *(f"{number} 1" for number in range(2, 40)))
    drawn = []
    for source in ("one", "two"):
        load(folder, edges=edges, source=source)
        order = candidates(source)
        votes = Vote.objects.filter(entity_id=became("post", 1, source=source)).order_by("pk")
        drawn.append([order.index(voter) for voter in votes.values_list("user", flat=True)])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 8


def test_the_draw_spreads_and_is_what_it_was():
    people = list(range(100, 200))
    assert [draw(str(number), people, without=()) for number in range(1, 6)] == [110, 100, 161, 102, 192]
    assert len({draw(str(number), people, without=()) for number in range(1000)}) > 95
    assert draw("1", people, without=people) is None
    assert draw("1", [], without=()) is None
