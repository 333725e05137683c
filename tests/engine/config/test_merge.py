import pytest

from engine.config.merge import merge, without_delete
from engine.errors import ConfigError

CASES = {
    "keys": (dict(a=1), dict(b=2), dict(a=1, b=2)),
    "nested": (dict(a=dict(b=1)), dict(a=dict(b=2, c=3)), dict(a=dict(b=1, c=3))),
    "delete": (dict(a=dict(_delete_=True, b=1)), dict(a=dict(c=3)), dict(a=dict(b=1))),
    "a name is replaced": (dict(a=dict(b=1)), dict(a="coco"), dict(a=dict(b=1))),
    "nothing is replaced": (dict(a=dict(b=1)), dict(a=None), dict(a=dict(b=1))),
    "lists are replaced": (dict(a=[1]), dict(a=[2, 3]), dict(a=[1])),
    "none": (dict(a=None), dict(a=dict(b=1)), dict(a=None)),
    "an item": (dict(a={"1": dict(b=1)}), dict(a=[0, dict(c=2)]), dict(a=[0, dict(b=1, c=2)])),
    "an item of a tuple": ({"0": 5}, (1, 2), (5, 2)),
    "plain": (1, dict(a=2), 1),
}


@pytest.mark.parametrize(("upper", "lower", "expected"), CASES.values(), ids=CASES.keys())
def test_what_the_upper_makes_of_the_lower(upper, lower, expected):
    kept = repr((upper, lower))
    merged = merge(upper, lower)
    assert merged == expected and type(merged) is type(expected)
    assert merge(upper, merged) == merged, "to say something twice is to say it once"
    assert repr((upper, lower)) == kept, "neither is changed"


def test_a_delete_that_is_false_only_adds():
    assert merge(dict(_delete_=False, a=1), dict(b=2)) == dict(a=1, b=2)


def test_nothing_is_shared():
    upper, lower = dict(a=dict(b=[1])), dict(c=[dict(d=2)])
    merged = merge(upper, lower)
    merged["a"]["b"].append(2)
    merged["c"][0]["d"] = 3
    assert upper == dict(a=dict(b=[1])) and lower == dict(c=[dict(d=2)])


LAYERS = [
    dict(a=dict(x=1), b="coco", c=dict(x=1), d=dict(x=dict(y=1))),
    dict(a=dict(_delete_=True, y=2), b="goliath", c=None, d=dict(x=dict(z=2))),
    dict(a=dict(z=3), b=dict(name="own"), c=dict(z=4), d=dict(_delete_=True, w=3)),
]


def test_a_composition_does_what_its_parts_do():
    lowest, middle, top = LAYERS
    expected = merge(top, merge(middle, lowest))
    assert merge(merge(top, middle, keep_delete=True), lowest) == expected
    assert expected == dict(a=dict(y=2, z=3), b=dict(name="own"), c=dict(z=4), d=dict(w=3))


@pytest.mark.parametrize(
    ("upper", "lower", "message"),
    [
        (dict(a=dict(b=dict(c=1))), dict(a=dict(b=4)), r"^a\.b: .* below it 4\. Add _delete_=True"),
        (dict(a={"3": 1}), dict(a=[1, 2]), r"^a\.3: the list has 2 items"),
    ],
)
def test_what_cannot_be_merged(upper, lower, message):
    with pytest.raises(ConfigError, match=message):
        merge(upper, lower)


def test_a_delete_that_met_nothing_is_dropped():
    assert without_delete(dict(a=[dict(_delete_=True, b=1)])) == dict(a=[dict(b=1)])
