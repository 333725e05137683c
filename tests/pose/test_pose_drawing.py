import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from engine.data.sample import DataSample
from pose.drawing import Pen, PoseVisualizer, draw_openpose, draw_people
from pose.infer import PoseWriter
from pose.metainfo import COCO, COCO_WHOLEBODY, GOLIATH, OPENPOSE18


@pytest.fixture
def standing():
    """A person, 17 keypoints, who fills an image of 100 x 100."""
    x = {"left": 70, "right": 30}
    y = dict(nose=10, eye=8, ear=9, shoulder=25, elbow=40, wrist=55, hip=55, knee=75, ankle=95)
    points = []
    for name in COCO.keypoints:
        side, _, joint = name.rpartition("_")
        outwards = {"left": 15, "right": -15}.get(side, 0) * (joint in ("elbow", "wrist"))
        points.append((x.get(side, 50) + outwards, y[joint]))
    return np.array(points, np.float32)[None], np.ones((1, 17))


def test_everybody_is_drawn_in_the_colours_of_the_set(standing):
    points, scores = standing
    image = np.zeros((100, 200, 3), np.uint8)
    everybody = np.concatenate([points, points + np.array([100, 0])])
    draw_people(image, everybody, np.repeat(scores, 2, axis=0), COCO, Pen(2, 1))
    for x0 in (0, 100):
        for i in (COCO.ids["left_ankle"], COCO.ids["right_wrist"]):
            x, y = points[0, i].astype(int)
            assert tuple(image[y, x0 + x]) == COCO.colors[i]


def test_what_is_unsure_or_outside_is_left_out(standing):
    points, scores = standing
    wrist, elbow = COCO.ids["left_wrist"], COCO.ids["left_elbow"]
    for change in ("score", "place"):
        xy, score = points.copy(), scores.copy()
        if change == "score":
            score[0, wrist] = 0.29
        else:
            xy[0, wrist] = 130, 50
        image = np.zeros((100, 100, 3), np.uint8)
        draw_people(image, xy, score, COCO, Pen(1, 1, kpt_thr=0.3))
        (x, y) = points[0, elbow].astype(int)
        assert image[y, x].any() and not image[y + 5 : 54, x - 1 : x + 2].any()
    score[0, wrist] = 0.3
    draw_people(image, points, score, COCO, Pen(1, 1, kpt_thr=0.3))
    assert image[y + 5 : 54, x - 1 : x + 2].any(), "the least score is drawn"


@pytest.mark.parametrize("by", ["writer", "visualizer"])
def test_the_options_of_files_and_of_panels_reach_the_pen(standing, by):
    points, scores = (torch.from_numpy(values) for values in standing)
    boxes = torch.tensor([[0.0, 0, 100, 100]]).repeat(len(points), 1)
    people = InstanceData(keypoints=points, keypoint_scores=0.2 * scores, bboxes=boxes)
    black = np.zeros((100, 100, 3), np.uint8)

    def covered(**change):
        options = {"metainfo": "coco", "radius": 1, "thickness": 1, "kpt_thr": 0.1, **change}
        if by == "writer":
            picture = PoseWriter(**options).draw(people, black)
        else:
            visualizer = PoseVisualizer(**options, name=f"pen {change}")
            (picture,) = visualizer.panels(black, DataSample(pred_instances=people))
        return int(picture.any(axis=-1).sum())

    thin = covered()
    assert 0 < 1.5 * thin < min(covered(radius=5), covered(thickness=5))
    assert covered(kpt_thr=0.25) == 0


def test_ids_are_written(standing):
    points, scores = standing
    plain, numbered = (np.zeros((100, 100, 3), np.uint8) for _ in range(2))
    draw_people(plain, points, scores, COCO, Pen(1, 1))
    draw_people(numbered, points, scores, COCO, Pen(1, 1, show_ids=True))
    assert (numbered != plain).any()


def test_openpose_is_drawn_on_black(standing):
    points, scores = standing
    picture = draw_openpose((100, 100), points, scores, COCO, Pen(2, 2))
    assert picture.shape == (100, 100, 3) and 0 < picture.any(axis=-1).mean() < 0.3
    ankle = points[0, COCO.ids["left_ankle"]].astype(int)
    color = np.array(OPENPOSE18.colors[OPENPOSE18.ids["left_ankle"]])
    # A joint of opacity 0.8 over the end of a limb.
    assert abs(picture[ankle[1], ankle[0]].astype(int) - 0.8 * color).max() < 0.2 * 255
    colors = {(start, end): color for start, end, color in OPENPOSE18.skeleton}
    shin = np.array(colors["left_knee", "left_ankle"])
    assert abs(picture[85, 70].astype(int) - 0.6 * shin).max() <= 1
    assert picture[25, 50].any(), "the neck lies between the shoulders"


@pytest.mark.parametrize(("score", "kpt_thr"), [(0.2, 0.1), (0.2, 0.25), (0.5, 0.4), (0.5, 0.6)])
def test_the_neck_is_as_sure_as_its_shoulders(standing, score, kpt_thr):
    points, scores = standing
    picture = draw_openpose((100, 100), points, score * scores, COCO, Pen(2, 2, kpt_thr))
    assert picture[25, 50].any() == (score > kpt_thr)


@pytest.mark.parametrize("metainfo", [COCO_WHOLEBODY, GOLIATH], ids=lambda m: m.name)
def test_openpose_draws_hands(metainfo):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (2, metainfo.num_keypoints, 2))
    picture = draw_openpose((100, 100), points, np.ones(points.shape[:2]), metainfo, Pen(1, 1))
    body = [metainfo.ids[name] for name in COCO.keypoints]
    scores = np.zeros(points.shape[:2])
    scores[:, body] = 1
    assert (draw_openpose((100, 100), points, scores, metainfo, Pen(1, 1)) != picture).any()


def test_limbs_at_the_border_are_cut(standing):
    points, scores = standing
    shifted = points * 1.05 - 3
    picture = draw_openpose((100, 100), shifted, scores, COCO, Pen(8, 8))
    wide = draw_openpose((140, 140), shifted + 20, scores, COCO, Pen(8, 8))
    assert wide[120:].any(), "they reach beyond it"
    assert (picture != wide[20:120, 20:120]).mean() < 0.01, "OpenCV cuts outlines by a pixel"
