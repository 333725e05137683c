import hashlib
import json

import numpy as np
import pytest

from engine.errors import ConfigError
from pose.metainfo import (
    COCO,
    COCO_WHOLEBODY,
    GOLIATH,
    GOLIATH_RAW_IDS,
    METAINFOS,
    OPENPOSE18,
    OPENPOSE134,
    PoseMetainfo,
    index_map,
    parse_metainfo,
    take_keypoints,
    to_openpose,
)

SETS = pytest.mark.parametrize("metainfo", METAINFOS.values(), ids=METAINFOS)
# Of the released tables: names, partners, sigmas, weights, colours, halves and links, as below.
RELEASED = {
    "coco": "e7d87793e172fe36d5bbb58d6eebcf39cd3dfed70dabe242f58e06948009ebb9",
    "coco_wholebody": "2a081292c7d28e0d3f606ed00e28a720138b6db7be42f78d04ed1d75789f1423",
    "goliath": "ff49cac0d315dce5d16a99b2fbc44137547376d43554fde3d3d53a9ce279a2aa",
    "openpose18": "841d3d5bee52e180314d184bce06ba88c4bca373fa539bc2d3b16e30c01691db",
    "openpose134": "aa7f7f9862a951944d17ef2de8b7750fdb4df2af4dda1f9763b17315a3736c71",
}
# The released tables weigh joints; nothing reads it, there as here.
COCO_WEIGHTS = [1.0] * 7 + [1.2, 1.2, 1.5, 1.5, 1.0, 1.0, 1.2, 1.2, 1.5, 1.5]
OWN = dict(
    name="hand_tools",
    keypoints=["hammer_head", "hammer_grip", "left_hand", "right_hand"],
    flip_pairs=[["left_hand", "right_hand"]],
    skeleton=[["hammer_head", "hammer_grip"], ["hammer_grip", "left_hand", [1, 2, 3]]],
    sigmas=[0.05, 0.05, 0.03, 0.03],
)


@SETS
def test_every_value_is_the_released_one(metainfo):
    table = dict(
        names=metainfo.keypoints,
        swap=metainfo.keypoint_swap_indices,
        sigmas=metainfo.sigmas,
        weights=COCO_WEIGHTS if metainfo is COCO else [1.0] * metainfo.num_keypoints,
        colors=metainfo.colors,
        upper=sorted(metainfo.ids[name] for name in metainfo.upper_body),
        lower=sorted(metainfo.ids[name] for name in metainfo.lower_body),
        skeleton=metainfo.skeleton,
    )
    assert hashlib.sha256(json.dumps(table).encode()).hexdigest() == RELEASED[metainfo.name]


@pytest.mark.parametrize(
    ("metainfo", "keypoints", "themselves", "links", "upper", "lower"),
    [
        (COCO, 17, 1, 19, 11, 6),
        (COCO_WHOLEBODY, 133, 11, 65, 11, 12),
        (GOLIATH, 308, 16, 65, 51, 12),
        (OPENPOSE18, 18, 2, 17, 12, 6),
        (OPENPOSE134, 134, 12, 63, 12, 12),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_counts(metainfo, keypoints, themselves, links, upper, lower):
    swap = np.array(metainfo.keypoint_swap_indices)
    assert metainfo.num_keypoints == len(set(metainfo.keypoints)) == len(swap) == keypoints
    assert np.array_equal(swap[swap], np.arange(keypoints))
    assert (swap == np.arange(keypoints)).sum() == themselves
    assert len(metainfo.links) == links
    assert (len(metainfo.upper_body), len(metainfo.lower_body)) == (upper, lower)


@pytest.mark.parametrize(
    ("metainfo", "sizes"),
    [
        (COCO_WHOLEBODY, dict(body=17, foot=6, face=68, left_hand=21, right_hand=21)),
        (GOLIATH, dict(body=17, foot=6, face=238, left_hand=20, right_hand=20, extra=7)),
    ],
    ids=["coco_wholebody", "goliath"],
)
def test_groups_divide_the_set(metainfo, sizes):
    assert {group: len(ids) for group, ids in metainfo.groups.items()} == sizes
    everything = sorted(i for ids in metainfo.groups.values() for i in ids)
    assert everything == list(range(metainfo.num_keypoints))


def test_groups_of_both_sets_name_the_same_body_and_feet():
    for group in ("body", "foot"):
        names = [
            [metainfo.keypoints[i] for i in metainfo.groups[group]]
            for metainfo in (COCO_WHOLEBODY, GOLIATH)
        ]
        assert names[0] == names[1]


def test_a_mirror_exchanges_sides_in_the_names_too():
    for a, b in GOLIATH.flip_pairs:
        sides = {"left": "right", "right": "left", "l": "r", "r": "l"}
        words_a, words_b = (
            [word for word in name.split("_") if not word.isdigit()] for name in (a, b)
        )
        assert [sides.get(word, word) for word in words_a] == words_b


def test_the_308_are_the_344_without_teeth():
    assert len(GOLIATH_RAW_IDS) == 308
    assert set(range(344)) - set(GOLIATH_RAW_IDS) == set(range(220, 256))
    assert GOLIATH_RAW_IDS[GOLIATH.ids["l_top_end_of_inferior_crus"]] == 256


def test_wholebody_and_goliath_share_53_names():
    to_goliath, back = index_map(COCO_WHOLEBODY, GOLIATH), index_map(GOLIATH, COCO_WHOLEBODY)
    shared = [(source, target) for target, source in enumerate(to_goliath) if source >= 0]
    assert len(shared) == 53
    assert shared == sorted(
        ((i, j) for i, j in enumerate(back) if j >= 0), key=lambda pair: pair[1]
    )
    assert (93, 44) in shared and (9, 62) in shared
    assert all(GOLIATH.sigmas[j] == COCO_WHOLEBODY.sigmas[i] for i, j in shared)


@pytest.mark.parametrize("source", [COCO_WHOLEBODY, GOLIATH], ids=lambda metainfo: metainfo.name)
def test_reductions_to_coco(source):
    indices = index_map(source, COCO)
    assert tuple(source.keypoints[i] for i in indices) == COCO.keypoints
    assert indices == source.groups["body"]


def test_what_the_source_lacks_has_score_zero():
    keypoints, scores = np.full((2, 17, 2), np.nan), np.ones((2, 17))
    keypoints[:, 0] = 5
    taken, taken_scores = take_keypoints(keypoints, scores, (0, -1))
    assert taken.tolist() == [[[5, 5], [0, 0]]] * 2
    assert taken_scores.tolist() == [[1, 0]] * 2


@pytest.mark.parametrize(
    ("source", "target", "missing"),
    [(COCO, OPENPOSE18, 0), (COCO_WHOLEBODY, OPENPOSE134, 0), (GOLIATH, OPENPOSE134, 68)],
    ids=["coco", "coco_wholebody", "goliath"],
)
def test_openpose_draws_the_same_points(source, target, missing):
    keypoints = np.arange(source.num_keypoints * 2.0).reshape(1, -1, 2) + 1
    scores = np.linspace(0.4, 0.9, source.num_keypoints)[None]
    reduced, reduced_scores, metainfo = to_openpose(keypoints, scores, source)
    assert metainfo is target
    assert (reduced_scores == 0).sum() == missing
    for i, name in enumerate(target.keypoints):
        if name in source.ids and name != "neck":
            assert np.array_equal(reduced[0, i], keypoints[0, source.ids[name]])
            assert reduced_scores[0, i] == scores[0, source.ids[name]]
    shoulders = [source.ids["left_shoulder"], source.ids["right_shoulder"]]
    assert np.array_equal(reduced[0, 1], keypoints[0, shoulders].mean(axis=0))
    assert reduced_scores[0, 1] == 1
    scores[:, shoulders[0]] = 0.3
    assert to_openpose(keypoints, scores, source)[1][0, 1] == 0


def test_goliaths_hands_reach_openpose_whole():
    keypoints = np.arange(616.0).reshape(1, 308, 2)
    reduced, _, target = to_openpose(keypoints, np.ones((1, 308)), GOLIATH)
    for name, same in (
        ("left_hand_root", "left_wrist"),
        ("right_pinky_finger1", "right_pinky_finger_third_joint"),
    ):
        assert np.array_equal(reduced[0, target.ids[name]], keypoints[0, GOLIATH.ids[same]])


def test_openpose_needs_shoulders():
    hand = PoseMetainfo(name="hand", keypoints=("tip",))
    with pytest.raises(ConfigError, match="left_shoulder"):
        to_openpose(np.zeros((1, 1, 2)), np.zeros((1, 1)), hand)


@SETS
def test_plain_values_read_back(metainfo):
    values = metainfo.as_dict()
    assert parse_metainfo(values) == metainfo
    assert parse_metainfo(json.loads(json.dumps(values))) == metainfo
    assert parse_metainfo(metainfo.name) is metainfo


def test_a_set_of_ones_own():
    metainfo = parse_metainfo(OWN)
    assert metainfo.keypoint_swap_indices == (0, 1, 3, 2)
    assert metainfo.links == ((0, 1, (96, 96, 255)), (1, 2, (1, 2, 3)))
    assert metainfo.colors[0] == (255, 128, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(flip_pairs=[("left_hand", "right_foot")]), "'right_foot'.*4 keypoints"),
        (dict(flip_pairs=[]), "left_hand, right_hand: named after a side"),
        (dict(flip_pairs=[("left_hand", "right_hand")] * 2), "two of the flip_pairs"),
        (dict(keypoints=["a", "b", "a"], flip_pairs=[]), "a more than once"),
        (dict(keypoints=[], flip_pairs=[]), "keypoints is empty"),
        (dict(skeleton=[("hammer_head", "anvil")]), "skeleton names 'anvil'"),
        (dict(upper_body=["nose"]), "upper_body names 'nose'"),
        (dict(sigmas=[0.05]), "sigmas has 1 values for 4"),
        (dict(sigmas=[0.05, 0, 0.1, 0.1]), "must be positive"),
        (dict(colors=[(1, 2, 3)]), "colors has 1 values for 4"),
        (dict(groups=dict(hands=[2, 4])), r"'hands' holds an id outside 0\.\.3"),
        (dict(sigma=[0.05] * 4), 'Did you mean "sigmas"'),
    ],
)
def test_a_set_that_contradicts_itself_is_an_error(change, message):
    with pytest.raises(ConfigError, match=message):
        parse_metainfo({**OWN, **change})


def test_unknown_or_nameless_sets_are_errors():
    with pytest.raises(ConfigError, match="'coco18' is none of coco, coco_wholebody, goliath"):
        parse_metainfo("coco18")
    with pytest.raises(ConfigError, match="no 'keypoints'"):
        parse_metainfo(dict(name="mine"))
