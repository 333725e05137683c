import numpy as np
import pytest

from mmsapiens.benchmarks.tracking import (
    count_switches,
    error,
    find,
    jitter,
    keypoints_of_ways,
    lag_ms,
    make_film,
    track_with,
)
from mmsapiens.cli import dispatch
from pose.infer.smoothing import KeypointSmoother
from pose.infer.tracking import Tracker, iou
from pose.metainfo import COCO

NUM = 5
SIGMAS = (0.05,) * NUM
POSE = np.array([[20, 10], [10, 40], [30, 40], [15, 90], [25, 90]], float)  # in a box of 40 x 100


def person(x, pose=POSE):
    """Keypoints, scores and the box of somebody whose box begins at x."""
    return pose + np.array([x, 0]), np.ones(NUM), np.array([x, 0, x + 40, 100], float)


def frame(*people):
    if not people:
        return np.zeros((0, NUM, 2)), np.zeros((0, NUM)), np.zeros((0, 4))
    return tuple(np.stack(values) for values in zip(*people, strict=True))


class TestTracker:
    def test_ids_do_not_depend_on_the_order_in_a_frame(self):
        tracker, rng = Tracker(SIGMAS), np.random.default_rng(0)
        places = np.array([0, 60, 120, 180])
        names = tracker.update(*frame(*map(person, places)), 0.0)
        assert sorted(names) == [1, 2, 3, 4]
        for step in range(1, 9):
            order = rng.permutation(4)
            ids = tracker.update(*frame(*map(person, places[order] + 3 * step)), step / 30)
            np.testing.assert_array_equal(ids, names[order])

    def test_keypoints_tell_people_in_one_box_apart(self):
        other = POSE[::-1]
        tracker, boxes_alone = Tracker(SIGMAS), Tracker()
        for each in (tracker, boxes_alone):
            assert each.update(*frame(person(0), person(0, other)), 0.0).tolist() == [1, 2]
        swapped = frame(person(0, other), person(0))
        assert tracker.update(*swapped, 0.1).tolist() == [2, 1]
        assert boxes_alone.update(*swapped, 0.1).tolist() == [1, 2]

    def test_keypoints_of_low_scores_do_not_count(self):
        tracker = Tracker(SIGMAS)
        tracker.update(*frame(person(0)), 0.0)
        points, scores, boxes = frame(person(0, POSE + 1000))
        assert tracker.update(points, 0 * scores, boxes, 0.1).tolist() == [1]

    @pytest.mark.parametrize("num_hidden, id_after", [(5, 1), (6, 2)])
    def test_who_is_hidden_is_waited_for_and_ids_are_never_given_again(self, num_hidden, id_after):
        tracker = Tracker(SIGMAS, max_lost=5)
        times = iter(np.arange(99) / 10)
        assert tracker.update(*frame(person(0)), next(times)).tolist() == [1]
        for _ in range(num_hidden):
            assert tracker.update(*frame(), next(times)).shape == (0,)
        assert tracker.update(*frame(person(2)), next(times)).tolist() == [id_after]
        assert tracker.update(*frame(person(2), person(500)), next(times)).tolist() == [
            id_after,
            id_after + 1,
        ]

    @pytest.mark.parametrize("gap_s", [0.5, 1.0])
    def test_who_is_hidden_goes_on_at_its_velocity_in_time_not_in_frames(self, gap_s):
        """100 pixels a second; after the gap it is where its old box does not reach."""
        tracker = Tracker(SIGMAS)
        for time_s in (0, 0.05, 0.1, 0.2, 0.25, 0.4):
            assert tracker.update(*frame(person(100 * time_s)), time_s).tolist() == [1]
        time_s = 0.4 + gap_s
        assert tracker.update(*frame(person(100 * time_s), person(40)), time_s).tolist()[0] == 1
        assert iou(person(40)[2], person(140)[2][None]) == 0

    def test_the_scale_of_the_pixels_does_not_matter(self):
        rng = np.random.default_rng(3)
        trackers = Tracker(SIGMAS), Tracker(SIGMAS)
        for step in range(20):
            people = frame(*(person(x + rng.normal(0, 15)) for x in (0, 30, 90)))
            one, other = (
                tracker.update(scale * people[0], people[1], scale * people[2], step / 10)
                for tracker, scale in zip(trackers, (1, 8), strict=True)
            )
            np.testing.assert_array_equal(one, other)


def one_euro(values, times, min_cutoff, beta, d_cutoff):
    """The paper's algorithm for one coordinate, word for word."""

    def alpha(cutoff, step):
        tau = 1 / (2 * np.pi * cutoff)
        return 1 / (1 + tau / step)

    x_hat, dx_hat, results = values[0], 0.0, [values[0]]
    for i in range(1, len(values)):
        step = times[i] - times[i - 1]
        dx = (values[i] - x_hat) / step
        a = alpha(d_cutoff, step)
        dx_hat = a * dx + (1 - a) * dx_hat
        a = alpha(min_cutoff + beta * abs(dx_hat), step)
        x_hat = a * values[i] + (1 - a) * x_hat
        results.append(x_hat)
    return results


def smooth_all(points, times, scores=None, **options):
    smoother = KeypointSmoother(**options)
    scores = np.ones(points.shape[:2]) if scores is None else scores
    return np.stack([smoother.smooth(1, *item) for item in zip(points, scores, times, strict=True)])


class TestSmoother:
    @pytest.fixture
    def walk(self):
        """Keypoints (40, 5, 2) of somebody who walks, with noise, at uneven times (40,)."""
        rng = np.random.default_rng(0)
        times = np.cumsum(rng.uniform(0.01, 0.08, 40))
        return POSE + 50 * times[:, None, None] + rng.normal(0, 2, (40, NUM, 2)), times

    def test_it_is_the_algorithm_of_the_paper(self):
        """On a line, with corners that hold the size at 100."""
        rng = np.random.default_rng(0)
        times = np.cumsum(rng.uniform(0.01, 0.08, 50))
        points = np.tile(np.array([[0.0, 0], [60, 80], [0, 40]]), (50, 1, 1))
        points[:, 2, 0] = 30 + 25 * np.sin(3 * times) + rng.normal(0, 1, 50)
        found = smooth_all(points, times, min_cutoff_hz=1.2, beta=7.0, speed_cutoff_hz=0.8)
        expected = one_euro(points[:, 2, 0], times, 1.2, 7.0 / 100, 0.8)
        np.testing.assert_allclose(found[:, 2, 0], expected, rtol=1e-9)
        np.testing.assert_allclose(found[:, :2], points[:, :2], atol=1e-9)  # at rest nothing moves

    def test_it_follows_turns_moves_and_scales_of_the_picture(self, walk):
        points, times = walk
        plain = smooth_all(points, times)
        turn = np.array([[0.8, -0.6], [0.6, 0.8]])
        size = np.linalg.norm(np.ptp(points, axis=1), axis=-1)
        assert size.std() > 0.5  # the size is measured anew in each frame
        np.testing.assert_allclose(smooth_all(3 * points + 70, times), 3 * plain + 70, rtol=1e-6)
        mirrored = smooth_all(points[..., ::-1] * (1, -1), times)
        np.testing.assert_allclose(mirrored, plain[..., ::-1] * (1, -1), rtol=1e-6)
        steady = {"beta": 0.0}  # the box around keypoints does not turn with them
        np.testing.assert_allclose(
            smooth_all(points @ turn, times, **steady), smooth_all(points, times, **steady) @ turn
        )

    def test_the_frame_rate_hardly_matters(self):
        """A step is followed within the same time."""
        after = []
        for fps in (30, 120):
            times = np.arange(fps) / fps
            points = np.tile(POSE, (fps, 1, 1))
            points[times >= 0.25] += (20, 0)
            after.append(smooth_all(points, times)[times == 0.5][0, 0, 0])
        assert after[0] == pytest.approx(after[1], abs=1.0) and 20 < after[0] < 40

    def test_keypoints_of_low_scores_are_held_and_then_left_alone(self):
        times = np.arange(12) / 10
        points = np.tile(POSE, (12, 1, 1))
        points[1:11, 0] = 900  # nonsense while it is hidden, which its score tells
        scores = np.ones((12, NUM))
        scores[1:11, 0] = 0.1
        found = smooth_all(points, times, scores, hold_s=0.5)
        np.testing.assert_allclose(found[:6], np.tile(POSE, (6, 1, 1)))
        np.testing.assert_allclose(found[6:11, 0], 900)
        np.testing.assert_allclose(found[11], POSE)  # at once, not on a way back from nonsense
        np.testing.assert_allclose(found[:, 1:], points[:, 1:])

    def test_people_are_smoothed_each_for_itself_and_forgotten(self, walk):
        points, times = walk
        alone, smoother = smooth_all(points, times), KeypointSmoother()
        for i, (one, time_s) in enumerate(zip(points, times, strict=True)):
            other = smoother.smooth(2, one[::-1] + 500, np.ones(NUM), time_s)
            np.testing.assert_allclose(smoother.smooth(1, one, np.ones(NUM), time_s), alone[i])
            assert other.min() > 400
        late = times[-1] + 1
        np.testing.assert_allclose(smoother.smooth(1, points[0], np.ones(NUM), late), points[0])
        assert len(smoother._states) == 1

    def test_the_input_stays_as_it_is(self, walk):
        points, times = walk
        before = points.copy()
        smooth_all(points, times)
        np.testing.assert_array_equal(points, before)


@pytest.fixture(scope="module")
def film():
    """Two rendered people who walk past each other."""
    return make_film(2.4, 15, (240, 320))


class TestFilm:
    """What a model would find there."""

    NOISE = 1.2

    def test_nobody_is_exchanged(self, film):
        frames = find(film, self.NOISE)
        assert any(len(found.person) < 2 for found in frames), "one is hidden for a while"
        by_place = count_switches(frames, film, lambda found, _: np.arange(len(found.person)))
        by_side = count_switches(
            frames, film, lambda found, _: found.boxes[:, 0].argsort().argsort()
        )
        assert by_place > 10 and by_side >= 2
        assert count_switches(frames, film, track_with(Tracker(COCO.sigmas))) == 0

    def test_there_is_less_jitter_and_hardly_a_lag(self, film):
        ways = keypoints_of_ways(film, self.NOISE)
        own = jitter(ways["true"])
        assert jitter(ways["smoothed"]) - own < 0.75 * (jitter(ways["found"]) - own)
        assert lag_ms(ways["smoothed"], film) <= 20  # a third of a frame
        assert error(ways["smoothed"], film) < 1.1 * error(ways["found"], film)
        still = np.repeat(film.keypoints[:1], len(film.times_s), 0)
        standing = film._replace(keypoints=still)
        ways = keypoints_of_ways(standing, self.NOISE)
        assert jitter(ways["smoothed"]) < 0.4 * jitter(ways["found"])
        assert error(ways["smoothed"], standing) < 0.8 * error(ways["found"], standing)


def test_the_benchmark_needs_no_config(capsys):
    dispatch(["benchmark", "tracking", "--seconds", "1", "--fps", "6"])
    out = capsys.readouterr().out
    assert "6 frames of 640x480" in out and "boxes and keypoints" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("true, walking")]
    assert row[3] == "0.00" and row[4] == "0"  # no error, no lag
