"""The pages for readers: every path, name and section in them exists.

A page names a file as `path/to/file.py`, a folder as `path/to/`, and what a file defines as `path/to/file.py::name`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "events/pool/README.md")
    for page in ROOT.glob(pattern)
    if page.name != "CHANGELOG.md"
)
#: Code in a line or a block.
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
#: A path below a folder of this repository, perhaps with a name that the file defines.
PATH = re.compile(
    r"(?<![\w./-])((?:airy|benchmarks|docs|events|examples|feeds|notifications|tests)/[\w./-]*[\w/])(?:::(\w+))?"
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
#: A line of a block that is indented, without its comment.
BLOCK_LINE = re.compile(r"^ {4}(.+?)(?: +# .*)?$", re.MULTILINE)


def test_every_page_is_read() -> None:
    assert {"README.md", "README.zh.md", "CONTRIBUTING.md", "docs/architecture.md"} <= {
        str(page.relative_to(ROOT)) for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    named = {found for code in CODE.findall(text) for found in PATH.findall(code)}
    missing = [f"{path}::{name}" if name else path for path, name in sorted(named) if not defines(ROOT / path, name)]
    missing += [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing, f"{page.name} names what does not exist: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_anchor_of_a_link_is_a_heading_of_its_page(page: Path) -> None:
    missing = [
        f"{target}#{anchor}"
        for target, anchor in ANCHOR.findall(page.read_text())
        if anchor not in anchors_of(page.parent / target if target else page)
    ]
    assert not missing, f"{page.name} leads to sections that do not exist: {missing}"


def test_the_chinese_operations_say_what_the_english_ones_say() -> None:
    english, chinese = (sections_of(ROOT / "docs" / name) for name in ("operations.md", "operations.zh.md"))
    assert [level for _, level, _ in chinese] == [level for _, level, _ in english], "other sections"
    differences = {
        f"{title}, {translated}": told ^ retold
        for (title, _, told), (translated, _, retold) in zip(english, chinese, strict=True)
        if told != retold
    }
    assert not differences, f"only one language has these commands, settings, figures or numbers of rows: {differences}"


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings, each of which stands there once."""
    titles = [title for _, title in HEADING.findall(page.read_text())]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def sections_of(page: Path) -> list[tuple[str, int, set[str]]]:
    """Title, level and, in any order, the code, figures and number of table rows of each section."""
    _, *parts = HEADING.split(re.sub(r"\]\([^)]*\)", "]", page.read_text()))
    sections = []
    for hashes, title, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        spans = re.findall(r"`([^`]+)`", body)
        prose = re.sub(r"`[^`]+`", "", BLOCK_LINE.sub("", body))
        told = {" ".join(span.split()) for span in spans} | set(BLOCK_LINE.findall(body))
        told |= set(re.findall(r"\d+(?:[.,]\d+)*", prose))
        rows = len(re.findall(r"^\|", body, re.MULTILINE))
        sections.append((title, len(hashes), told | {f"{rows} rows"}))
    return sections


def defines(path: Path, name: str) -> bool:
    """Whether a file or folder exists and, given a name, defines it: a function, a class, a constant or a field."""
    if not name:
        return path.exists()
    definition = rf"^\s*(?:async def|def|class) {name}\b|^\s*{name}\s*[:=]"
    return path.is_file() and re.search(definition, path.read_text(), re.MULTILINE) is not None
