"""Emphasis begins and ends beside the letters and signs of every script."""

import pytest

from feeds.text.parsed import parsed


def html(text: str) -> str:
    """The HTML of the only paragraph."""
    return parsed(text).html.strip().removeprefix("<p>").removesuffix("</p>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**注意：**请看", "<strong>注意：</strong>请看"),
        ("他说**你好。**然后", "他说<strong>你好。</strong>然后"),
        ("请看**《书》**好", "请看<strong>《书》</strong>好"),
        ("**“引用”**中文", "<strong>“引用”</strong>中文"),
        ("*（斜体）*字", "<em>（斜体）</em>字"),
        ("他说*“好”*吗", "他说<em>“好”</em>吗"),
        ("~~（删）~~字", "<s>（删）</s>字"),
        ("看~~「旧」~~新", "看<s>「旧」</s>新"),
        ("***重要！***然后", "<em><strong>重要！</strong></em>然后"),
        ("**`代码`**中文", "<strong><code>代码</code></strong>中文"),
        ("请看**[书](b)**好", '请看<strong><a href="b" rel="ugc nofollow">书</a></strong>好'),
        ("**ＡＢ！**字", "<strong>ＡＢ！</strong>字"),
        ("これは**「重要」**です", "これは<strong>「重要」</strong>です"),
        ("**ｶﾅ｡**です", "<strong>ｶﾅ｡</strong>です"),
        ("**葛󠄀（かつ）**が", "<strong>葛󠄀（かつ）</strong>が"),
        ("葛󠄀**(か)**が", "葛󠄀<strong>(か)</strong>が"),
        ("**마크다운(Markdown)**은", "<strong>마크다운(Markdown)</strong>은"),
        ("เขา**“พูด”**ว่า", "เขา<strong>“พูด”</strong>ว่า"),
        ("_注意：_ 请看", "<em>注意：</em> 请看"),
    ],
)
def test_emphasis_stands_beside_text_without_spaces(text, shown):
    assert html(text) == shown


@pytest.mark.parametrize(
    "text",
    ["** 不是 **粗体", "a**“b”**c", "2 * 3 * 4", "变量_名称_表", "snake_case_name", "字_（斜体）_字", "**(a)**é"],
)
def test_what_is_no_emphasis_elsewhere_is_none_beside_chinese(text):
    assert html(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**a**b", "<strong>a</strong>b"),
        ('a "**b**", c', 'a "<strong>b</strong>", c'),
        ("(_a_)", "(<em>a</em>)"),
        ("**a.** b", "<strong>a.</strong> b"),
    ],
)
def test_english_is_as_ever(text, shown):
    assert html(text) == shown
