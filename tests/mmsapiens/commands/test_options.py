"""What the values of --cfg-options become."""

import pytest

from mmsapiens.commands.options import read_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("-1e-4", -1e-4),
        ("true", True),
        ("None", None),
        ("none", "none"),
        ("", ""),
        ("/data/my pictures", "/data/my pictures"),
        ("/data/it's (1)", "/data/it's (1)"),
        ("C:\\new\\table", "C:\\new\\table"),
        ("'5'", "5"),
        ("'a, (b'", "a, (b"),
        ('"it\'s"', "it's"),
        ("a, b c,3", ["a", "b c", 3]),
        ("1,", [1]),
        ("[]", []),
        ("()", ()),
        ("[a/b, 'c d', (1.0,)]", ["a/b", "c d", (1.0,)]),
        ("[(1, 2),[3]]", [(1, 2), [3]]),
        ("dict()", {}),
        (
            '[dict(type="EMAHook", momentum=0.0002), dict(a=dict(b=[1, x]))]',
            [{"type": "EMAHook", "momentum": 0.0002}, {"a": {"b": [1, "x"]}}],
        ),
        ("{'left': 1, 2: C:/x}", {"left": 1, 2: "C:/x"}),
        ("dict(url=http://x/?a=b)", {"url": "http://x/?a=b"}),
    ],
)
def test_values(text, value):
    read = read_value(text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a, (b]", "closes nothing"),
        ("[a", r"'\]' is missing"),
        ("'a", "is missing"),
        ("'a' b", "does not end with the quote"),
        ("dict(a)", "'a' is no pair"),
    ],
)
def test_what_cannot_be_read(text, message):
    with pytest.raises(ValueError, match=message):
        read_value(text)
