"""Whatever a row of a dump contains, the import goes on: the row is imported, or counted with its id and the reason."""

import datetime as dt

import pytest
from django.db import DataError
from django.utils import timezone

from feeds.lists.posts import list_posts
from feeds.models import Comment, Post, User, Vote
from feeds.stackexchange import step, texts
from feeds.stackexchange.markup import DEEPEST, to_markdown
from feeds.text.parsed import parsed
from feeds.text.usernames import validate_username
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

TOMORROW = (timezone.now() + dt.timedelta(days=1)).isoformat()

#: HTML that a parser or a converter may fail on, each with the words that must be kept.
HTML = {
    "340 nested div": ("<div>" * 340 + "deep rose" + "</div>" * 340, "deep rose"),
    "400 nested blockquote": ("<blockquote>" * 400 + "deep rose" + "</blockquote>" * 400, "deep rose"),
    "300 nested lists": ("<ul><li>" * 300 + "deep rose" + "</li></ul>" * 300, "deep rose"),
    "emphasis in emphasis": ("<em><strong>" * 500 + "deep rose", "deep rose"),
    "paragraphs that never end": ("<p>one" * 2_000 + "<p>rose", "rose"),
    "tables in tables": ("<table><tr><td>" * 200 + "deep rose" + "</td></tr></table>" * 200, "deep rose"),
    "ends without a beginning": ("</div>" * 2_000 + "rose", "rose"),
    "100,000 levels": ("<div>" * 100_000 + "rose", "rose"),
    "a number that is none": ('<ol start="²"><li>rose</li></ol>', "rose"),
    "a number of 5,000 digits": (f'<ol start="{"9" * 5_000}"><li>rose</li></ol>', "rose"),
    "a cell of 5,000 digits": (f'<table><tr><td colspan="{"9" * 5_000}">rose</td></tr></table>', "rose"),
    "a cell that is none": ('<table><tr><td colspan="³">rose</td></tr></table>', "rose"),
    "a declaration that is none": ("<![x[ rose", "rose"),
    "a declaration that never ends": ("<!DOCTYPE rose [<!x", "rose"),
    "a tag that never ends": ('<p>rose</p><a href="', "rose"),
    "a reference that is none": ("<p>&#xD800; &#99999999999; &#0; rose</p>", "rose"),
    "attributes without values": ("<ol start><li>rose</li></ol><td colspan>a</td><img><a href>b</a>", "rose"),
}


@pytest.mark.parametrize(("html", "kept"), HTML.values(), ids=HTML.keys())
def test_any_html_becomes_markdown_and_keeps_its_text(html, kept):
    assert kept in parsed(to_markdown(html)).words


def test_what_is_too_deep_is_its_text_line_by_line_and_what_follows_is_as_before():
    too_deep = "<div>" * DEEPEST + "<ul><li>one</li><li>two</li></ul>" + "</div>" * DEEPEST
    assert to_markdown(too_deep.replace("ul>", "ol>")) == to_markdown(too_deep)
    assert to_markdown(f"{too_deep}<p>Some <em>good</em> soil.</p>").split("\n")[-1] == "Some *good* soil."
    assert "one two" in to_markdown(too_deep)


DATES = {
    "0001-01-01": "CreationDate is before 1970",
    "0001-01-01T00:00:00+14:00": "CreationDate is out of range",
    "9999-12-31T23:59:59-14:00": "CreationDate is out of range",
    "9999-12-31T23:59:59": "CreationDate is in the future",
    "1969-12-31T23:59:59": "CreationDate is before 1970",
    "1970-01-01T00:00:00+01:00": "CreationDate is before 1970",
    "2014-02-30": "CreationDate is not a date",
    "": "CreationDate is not a date",
    TOMORROW: "CreationDate is in the future",
}


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["users", "posts", "answers", "comments", "votes"])
def test_dates_have_bounds_in_every_table(tmp_path, table):
    numbers = range(100, 100 + len(DATES))
    make = {
        "users": lambda number: user(number, "Anna"),
        "posts": lambda number: question(number, 1),
        "answers": lambda number: answer(number, 1, 1),
        "comments": lambda number: comment(number, 1, 1),
        "votes": lambda number: vote(number, 1),
    }[table]
    bad = [make(number) | {"CreationDate": date} for number, date in zip(numbers, DATES, strict=True)]
    rows = {
        "users": [user(1, "Anna"), user(2, "Bo")],
        "posts": [question(1, 1)],
        "comments": [comment(1, 1, 1)],
        "votes": [vote(1, 1)],
    }
    rows["posts" if table == "answers" else table] += bad
    report = load(write(tmp_path / "dump", **rows))
    skipped: dict[str, list[str]] = {}
    for number, reason in zip(numbers, DATES.values(), strict=True):
        skipped.setdefault(reason, []).append(str(number))
    assert report[table].skipped == {reason: len(ids) for reason, ids in skipped.items()}
    assert report[table].named == skipped
    assert adds_up(report)
    assert [Post.objects.count(), Comment.objects.count(), Vote.objects.count()] == [1, 1, 1]


@pytest.mark.django_db
def test_the_first_moment_that_is_allowed_has_followers_from_before_it(tmp_path):
    folder = write(tmp_path / "dump", posts=[question(1, 1, CreationDate="1970-01-01")])
    report = load(folder, edges=graph(tmp_path / "graph.txt", "1 2"))
    assert report["follows"].imported == 1
    assert Post.objects.get().published_at.year == 1970


@pytest.mark.django_db
@pytest.mark.parametrize("edited", ["2099-01-01", "0001-01-01", "9999-12-31T23:59:59-14:00", "soon"])
def test_an_edit_at_an_impossible_time_is_left_out_and_remarked(tmp_path, edited):
    report = load(write(tmp_path / "dump", posts=[question(7, 1, LastEditDate=edited)]))
    assert Post.objects.get().updated_at == Post.objects.get().created_at
    [(about, rows)] = report["posts"].named.items()
    assert about.startswith("count as not edited: LastEditDate ")
    assert rows == ["7"]


@pytest.mark.django_db
def test_a_dump_from_the_future_heads_no_list(tmp_path):
    posts = [question(1, 1), question(2, 1, CreationDate="2099-01-01"), question(3, 1, CreationDate=TOMORROW)]
    load(write(tmp_path / "dump", posts=posts))
    assert [post.pk for post in list_posts("new").items] == [became("post", 1)]


@pytest.mark.django_db
def test_odd_ids_are_ids(tmp_path):
    odd = ["abc", "9" * 23, "-7", "a/b c", "<b>", "٣", "x" * 255, "😀", "2" * 255, "0"]
    posts = [question(number, who) for number, who in zip(odd, odd, strict=True)]
    comments = [comment(number, number, number) for number in odd]
    report = load(write(tmp_path / "dump", posts=[*posts, question("y" * 256, 1)], comments=comments))
    assert report["posts"].skipped == {"the Id is too long": 1}
    assert report["posts"].named == {"the Id is too long": ["y" * 39 + "…"]}
    assert report["comments"].imported == len(odd)
    for username in User.objects.values_list("username", flat=True):
        validate_username(username)
    assert adds_up(report)


@pytest.mark.django_db
def test_rows_without_an_id_are_named_by_their_place(tmp_path):
    report = load(write(tmp_path / "dump", posts=[question(1, 1), question("", 1), answer("", 1, 1)]))
    assert report["posts"].named == {"no Id": ["row 2"]}
    assert report["answers"].named == {"no Id": ["row 3"]}


@pytest.mark.django_db
def test_the_report_names_the_first_rows_of_each_reason(tmp_path, capsys):
    posts = [question(number, "") for number in range(1, 9)] + [question(9, 1, Title="[bold]")]
    report = load(write(tmp_path / "dump", posts=posts))
    assert list(report["posts"].notes()) == ["8 no author (1, 2, 3, 4, 5, …)"]


@pytest.mark.django_db
@pytest.mark.parametrize("error", [RecursionError("too deep"), OverflowError("too large"), KeyError("Body")])
def test_a_row_that_cannot_be_built_is_skipped_alone(tmp_path, monkeypatch, error):
    def convert(html):
        if "thorn" in html:
            raise error
        return html

    monkeypatch.setattr(texts, "to_markdown", convert)
    posts = [question(number, 1, Body="thorn" if number == 3 else "rose") for number in range(1, 8)]
    report = load(write(tmp_path / "dump", posts=posts))
    assert report["posts"].imported == 6
    assert [*report["posts"].named.values()] == [["3"]]
    assert type(error).__name__ in next(iter(report["posts"].skipped))
    assert adds_up(report)


@pytest.mark.django_db
def test_a_row_that_the_database_refuses_is_skipped_alone_and_tried_again_next_time(tmp_path, monkeypatch):
    monkeypatch.setattr(step, "ROWS_PER_TRANSACTION", 5)
    create = step._create

    def refuse(rows):
        if any(getattr(row, "title", "") == "Question 7" for row in rows):
            raise DataError("value out of range\nDETAIL: …")
        create(rows)

    monkeypatch.setattr(step, "_create", refuse)
    folder = write(tmp_path / "dump", posts=[question(number, 1) for number in range(1, 13)])
    report = load(folder)
    assert report["posts"].imported == 11
    assert report["posts"].named == {"DataError: value out of range": ["7"]}
    assert adds_up(report)
    monkeypatch.setattr(step, "_create", create)
    report = load(folder)
    assert (report["posts"].imported, report["posts"].already) == (1, 11)


@pytest.mark.django_db
def test_a_number_that_no_column_holds_is_refused_by_the_database_itself(tmp_path, monkeypatch):
    build = texts.Questions.build

    def out_of_range(self, row):
        built = build(self, row)
        built.circle_id = 2**70 if row["Id"] == "2" else None
        return built

    monkeypatch.setattr(texts.Questions, "build", out_of_range)
    report = load(write(tmp_path / "dump", posts=[question(number, 1) for number in range(1, 5)]))
    assert report["posts"].imported == 3
    assert [*report["posts"].named.values()] == [["2"]]


@pytest.mark.django_db
def test_text_that_no_column_holds_loses_only_its_bad_characters(tmp_path):
    folder = write(
        tmp_path / "dump",
        posts=[question(1, 1, Title="A\0 rose", Body="<p>&#0;thorn &#xDFFF;</p>"), question(2, 1, Title="x" * 5_000)],
        comments=[comment(1, 1, 1, Text="a\0b"), comment(2, 1, 1, Text="c" * 300_000)],
    )
    report = load(folder)
    assert Post.objects.get(pk=became("post", 1)).title == "A rose"
    assert set(Comment.objects.values_list("content", flat=True)) == {"ab", "c" * 300_000}
    assert report["posts"].named == {"titles cut to 300 characters": ["2"]}


@pytest.mark.django_db
def test_rows_with_too_few_and_too_many_fields_are_read_as_far_as_they_go(tmp_path):
    folder = write(tmp_path / "dump", posts=[question(1, 1)])
    with (folder / "Posts.csv").open("a") as file:
        file.write('only,three,fields\n,,1,0,2014-05-01,"<p>a</p>",Title,2,1,,more,and,more\n\n"\n')
    report = load(folder)
    assert report["posts"].imported == 2
    assert adds_up(report)
