"""The messages for folders and files that are not a dump."""

import pytest
from django.core.management import CommandError, call_command

from tests.feeds.stackexchange.dump_files import graph, question, user, write

pytestmark = pytest.mark.django_db


def refusal(*arguments: object) -> str:
    """The error message of the command."""
    with pytest.raises(CommandError) as refused:
        call_command("import_stackexchange", *map(str, arguments))
    return str(refused.value)


@pytest.fixture(params=["csv", "xml"])
def form(request):
    return request.param


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert "nowhere is not a folder" in refusal(tmp_path / "nowhere")


def test_a_missing_table_is_named_with_what_is_needed(tmp_path, form):
    folder = write(tmp_path / "dump", form=form)
    (folder / f"Votes.{form}").unlink()
    said = refusal(folder)
    assert "neither Votes.csv nor Votes.xml" in said
    assert "Posts, Comments, Votes (and optionally Users)" in said


@pytest.mark.parametrize("table", ["Posts", "Comments", "Votes", "Users"])
def test_a_missing_column_is_named_before_anything_is_written(tmp_path, table):
    folder = write(tmp_path / "dump", posts=[question(1, 1)], users=[user(1, "Anna")])
    path = folder / f"{table}.csv"
    path.write_text(path.read_text().replace("CreationDate", "Created"))
    said = refusal(folder)
    assert f"{table}.csv lacks the column(s) CreationDate" in said
    assert "Export it again" in said


def test_a_file_that_is_another_is_named(tmp_path):
    folder = write(tmp_path / "dump", form="xml")
    (folder / "Comments.xml").write_text("<html><body>Not found</body></html>")
    assert "contains <html>, not <comments>" in refusal(folder)


def test_a_torn_file_is_named(tmp_path):
    folder = write(tmp_path / "dump", form="xml", posts=[question(1, 1)])
    (folder / "Posts.xml").write_text((folder / "Posts.xml").read_text().replace("</posts>", ""))
    assert "Extract it again" in refusal(folder)
    (folder / "Posts.xml").write_text("")
    assert "Posts.xml is damaged" in refusal(folder)


@pytest.mark.parametrize("before", [0, 200_000])
def test_a_file_in_another_encoding_is_named(tmp_path, before):
    folder = write(tmp_path / "dump", posts=[question(1, 1, Title="Rosé", Body="-" * before)])
    (folder / "Posts.csv").write_bytes((folder / "Posts.csv").read_text().encode("latin-1"))
    assert "Posts.csv is damaged or not UTF-8" in refusal(folder)


def test_a_graph_that_is_not_there_is_named(tmp_path):
    folder = write(tmp_path / "dump")
    assert "--graph takes" in refusal(folder, "--graph", tmp_path / "graph.txt")
    picture = tmp_path / "graph.png"
    picture.write_bytes(b"\x89PNG\xff")
    assert "graph.png is not UTF-8" in refusal(folder, "--graph", picture)


def test_a_source_has_a_name_that_fits(tmp_path):
    assert "--source" in refusal(write(tmp_path / "dump"), "--source", "s" * 101)


def test_names_of_files_may_be_written_small_and_an_empty_dump_is_fine(tmp_path):
    folder = write(tmp_path / "dump", form="xml")
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.lower())
    call_command("import_stackexchange", str(folder), "--graph", str(graph(tmp_path / "graph.txt")))
