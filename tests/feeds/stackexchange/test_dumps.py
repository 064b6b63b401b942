"""The messages for folders and files that are not a dump."""

from functools import partial
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command

from feeds.stackexchange.xml_file import XmlFile
from tests.feeds.stackexchange.dump_files import comment, graph, question, user, vote, write

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


@pytest.mark.parametrize(
    ("table", "column"), [("posts", "PostTypeId"), ("comments", "PostId"), ("votes", "VoteTypeId")]
)
def test_a_column_that_no_row_of_an_xml_file_has_is_named(tmp_path, table, column):
    folder = write(
        tmp_path / "dump", form="xml", posts=[question(1, 1)], comments=[comment(1, 1, 1)], votes=[vote(1, 1)]
    )
    path = folder / f"{table.title()}.xml"
    path.write_text(path.read_text().replace(f"{column}=", "Other="))
    assert f"{table.title()}.xml lacks the column(s) {column}." in refusal(folder)


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    folder = write(tmp_path / "dump", form="xml")
    (folder / "Votes.xml").unlink()
    (folder / "Votes.xml").symlink_to("/proc/self/mem")
    assert "Votes.xml cannot be read" in refusal(folder)


@pytest.mark.parametrize("character", ["&#0;", "&#x1F;", "&#xD800;", "&#xFFFF;", "&#99999999999;", "\x01"])
def test_characters_that_xml_forbids_are_spaces_wherever_the_file_is_cut(tmp_path, character):
    folder = write(tmp_path / "dump", form="xml", posts=[question(1, 1, Title="A MARK title", Body="&#65;" + "b" * 90)])
    path = folder / "Posts.xml"
    text = path.read_text().replace("MARK", character)
    for size in range(1, 60):
        path.write_text(text)
        with path.open("rb") as file:
            cleaned = XmlFile(file)
            title = ElementTree.fromstring(b"".join(iter(partial(cleaned.read, size), b"")))[0].attrib["Title"]
        assert " ".join(title.split()) == "A title", size


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
