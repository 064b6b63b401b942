"""Search in every script, with accents or without, of common words, and in long texts: alike on both databases."""

import pytest

from events.testing import deliver
from feeds.search.index import index_posts
from feeds.search.query import indexed, terms_of
from feeds.search.search import search_posts
from feeds.search.snippets import snippet
from tests.support.factories import PostFactory

pytestmark = pytest.mark.django_db

#: Name, text: each is the body of a post.
TEXTS = {
    "hindi": "हिन्दी भारत की भाषा है।",
    "arabic": "قال مُحَمَّدٌ إنّ الكتاب جديد",
    "persian": "من می‌خواهم کتاب بخوانم",
    "hebrew": "בְּרֵאשִׁית בָּרָא",
    "thai": "ฉันชอบกินข้าวผัดที่บ้านเพื่อน",
    "lao": "ຂ້ອຍມັກກິນເຂົ້າ",
    "khmer": "ខ្ញុំចូលចិត្តបាយ",
    "burmese": "ကျွန်တော်ထမင်းစားသည်",
    "turkish": "İstanbul ve Diyarbakır, ILICA ile ılıca",
    "french": "Un café à l'été, cœur et Straße",
    "vietnamese": "Tiếng Việt rất hay",
    "polish": "Łódź i Gdańsk",
    "russian": "Ёлка и мой дом",
    "greek": "Οδός Ἀθηνῶν",
    "decomposed": "cafe\u0301 noir",
    "common": "To be, or not to be: who is it? The Who. IT",
    "soft": "hy\u00adphen and zero\u200bwidth",
    "rare": "𠮷野家 and 𞤀𞤣𞤤𞤢𞤥, \U0002b740\U0002b741",
    "snake": "snake_case and x86-64 in C++, 3.14",
}
FOUND = {
    "हिन्दी": "hindi", "हुन्दा": "", "हिन": "", "भाषा": "hindi", '"भारत की"': "hindi",
    "محمد": "arabic", "مُحَمَّد": "arabic", "محمود": "", "ان": "arabic", "كتاب": "persian", "کتاب": "persian",
    "میخواهم": "persian", "می‌خواهم": "persian", "ראשית": "", "בראשית": "hebrew",
    "ข้าว": "thai", "ข้าวผัด": "thai", "บ้าน": "thai", "เพื่อน": "thai", "ฉัน": "thai", "หมา": "", "น": "thai", "ข้าวบ้าน": "",
    "ກິນ": "lao", "ចូលចិត្ត": "khmer", "ထမင်း": "burmese",
    "istanbul": "turkish", "İSTANBUL": "turkish", "ıstanbul": "turkish", "İstanbul": "turkish", "diyarbakir": "turkish",
    "ilica": "turkish", "ILICA": "turkish", "ılıca": "turkish",
    "cafe": "decomposed french", "café": "decomposed french", "cafe\u0301": "decomposed french",
    "CAFÉS": "decomposed french",
    "ete": "french", "coeur": "french", "strasse": "french", "STRASSE": "french", '"l ete"': "french",
    "tieng viet": "vietnamese", "lodz": "polish", "gdansk": "polish", "елка": "russian", "мои": "", "мой": "russian",
    "αθηνων": "greek", "οδος": "greek",
    "who": "common", "the who": "common", '"the who"': "common", "to be or not to be": "common",
    '"to be or not to be"': "common", '"be to"': "", "it -who": "", "the -xyzzy": "common",
    "hyphen": "soft", "zero width": "soft", "吉野": "", "𠮷野": "rare", "𠮷": "rare", "𞤀𞤣𞤤𞤢𞤥": "rare",
    "\U0002b740": "rare", "\U0002b741": "rare", "\U0002b740\U0002b741": "rare", "\U0002b741\U0002b740": "",
    "snake case": "snake", "snake_case": "snake", "x86-64": "snake", "3.14": "snake", "case_snake": "",
}  # fmt: skip


def test_the_words_of_every_script_are_found():
    posts = {PostFactory(title="…", body=text).pk: name for name, text in TEXTS.items()}
    deliver()
    found = {query: sorted(posts[hit.pk] for hit in search_posts(query).items) for query in FOUND}
    assert found == {query: sorted(names.split()) for query, names in FOUND.items()}


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("cafe", "un Café noir", "<mark>Café</mark>"),
        ("café", "un cafe\u0301.", "<mark>cafe\u0301</mark>."),
        ("istanbul", "in İstanbul", "<mark>İstanbul</mark>"),
        ("محمد", "قال مُحَمَّدٌ إن", "<mark>مُحَمَّدٌ</mark>"),
        ("हिन्दी", "यह हिन्दी है", "<mark>हिन्दी</mark>"),
        ("หิน", "หินหัก", "<mark>หิน</mark>หัก"),
        ("the who", "The Who", "<mark>The</mark> <mark>Who</mark>"),
    ],
)
def test_a_snippet_marks_what_was_found_however_it_is_written(query, text, marked):
    assert marked in snippet(text, terms_of(query))


SIGNS = "".join(map(chr, (*range(0x4E00, 0x9FA0), *range(0xAC00, 0xD7A0), *range(0x3400, 0x4DB0))))


@pytest.mark.parametrize("place", [0, 16_300, 16_500, 20_000, 30_000, 38_600])
def test_a_phrase_is_found_wherever_it_stands_in_a_long_text(place):
    long, other = SIGNS, SIGNS[::-1]
    posts = [PostFactory(body=long), PostFactory(body=other)]
    deliver()
    for length in (1, 2, 4, 10):
        part = long[place : place + length]
        wanted = {posts[0].pk} if length > 1 else {post.pk for post in posts}
        assert {hit.pk for hit in search_posts(part).items} == wanted, (place, length)


def test_a_phrase_of_a_word_that_occurs_very_often_is_found():
    post = PostFactory(body="tea or " * 5_000 + "tea for two")
    deliver()
    assert [hit.pk for hit in search_posts('"or tea for two"').items] == [post.pk]
    assert search_posts('"two tea"').items == []


def test_a_text_of_a_megabyte_is_indexed_to_its_end():
    words = [f"w{n:x}" for n in range(120_000)]
    post = PostFactory(title="long")
    type(post).objects.filter(pk=post.pk).update(
        body="\n\n".join(" ".join(words[n : n + 90]) for n in range(0, len(words), 90))
    )
    index_posts([post.pk])
    for query in ("w1", f'"{words[-2]} {words[-1]}"', f"{words[0]} {words[70_000]}"):
        assert [hit.pk for hit in search_posts(query).items] == [post.pk], query


def test_a_very_long_word_counts_by_its_beginning():
    assert indexed("w" * 5_000) == f" {'w' * 64} "
