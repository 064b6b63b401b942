"""Language: every page exists in English and Chinese, and every string is translated."""

import ast
import gettext
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.template import engines
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

from tests.support.browsers import Window, shown, window
from tests.support.factories import CommentFactory

APPS = ("airy", "events", "feeds", "notifications")
CALLS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
CURE = "make messages, translate in airy/locale, make messages again"


def strings_of_python(path: Path) -> Iterator[str]:
    """The strings that a module marks for translation."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(string)), *_]) if name in CALLS:
                yield string


def strings_of_template(path: Path) -> Iterator[str]:
    """The strings that a template marks for translation."""
    nodes = engines["django"].from_string(path.read_text()).template.nodelist
    for node in nodes.get_nodes_by_type(TranslateNode):
        yield str(node.filter_expression.var.literal).replace("%", "%%")
    for node in nodes.get_nodes_by_type(BlockTranslateNode):
        yield node.render_token_list(node.singular)[0]


def test_every_string_is_translated():
    with (Path(settings.LOCALE_PATHS[0]) / "zh_Hans/LC_MESSAGES/django.mo").open("rb") as file:
        catalog = gettext.GNUTranslations(file)._catalog
    translated = {key[0] if isinstance(key, tuple) else key for key, value in catalog.items() if value}
    missing = {}
    for app in APPS:
        for path in (settings.BASE_DIR / app).rglob("*"):
            read = {".py": strings_of_python, ".html": strings_of_template, ".txt": strings_of_template}.get(
                path.suffix
            )
            for string in read(path) if read else ():
                if string.strip() and string not in translated:
                    missing[string] = str(path.relative_to(settings.BASE_DIR))
    assert not missing, f"to be translated ({CURE}): {missing}"


@pytest.mark.django_db
def test_a_browser_that_asks_for_chinese_gets_chinese():
    page = Window(headers={"accept-language": "zh-CN,zh;q=0.9"}).read("/login")
    assert '<html lang="zh-hans">' in page
    assert "登录" in page
    assert "Sign in" not in page


@pytest.mark.django_db
def test_the_switch_at_the_foot_changes_the_language_and_stays():
    browser = window()
    page = shown(browser.send("/i18n/setlang/", language="zh-hans", next="/circles"))
    assert "<h1>圈子</h1>" in page
    assert "草稿箱" in browser.read("/drafts")
    assert "<h1>Circles</h1>" in shown(browser.send("/i18n/setlang/", language="en", next="/circles"))


@pytest.mark.django_db
def test_refusals_speak_chinese():
    page = shown(window(accept_language="zh-cn").send("/posts/new", title=" "), 422)
    assert "此项不能为空。" in page


@pytest.mark.django_db
def test_times_speak_chinese():
    comment = CommentFactory()
    assert "刚刚" in Window(headers={"accept-language": "zh-hans"}).read(f"/posts/{comment.post_id}")
