import re
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ConfigError, DataError
from pose.infer import OnnxDetector
from pose.infer.detector import choose_providers, nms
from pose.infer.detector_kinds import KINDS, fit, layout_of, read_outputs, recognise


class Outputs:
    """In place of a detector's session: what it finds in 64 x 64 pixels."""

    def __init__(self, *outputs):
        self.outputs = outputs

    def run(self, names, inputs):
        return list(self.outputs)


class TestDetector:
    boxes = np.array([[10, 20, 50, 90, 0.9], [12, 20, 50, 90, 0.8], [60, 20, 90, 90, 0.7]])

    def test_suppressed_boxes_with_labels(self):
        labels = np.array([[0, 0, 2]])
        found = read_outputs([self.boxes[None], labels], (64, 64), 0, "a.onnx", "rtmdet")
        np.testing.assert_allclose(found, self.boxes[:2], rtol=1e-6)
        assert len(read_outputs([self.boxes[None]], (64, 64), 0, "a.onnx", "rtmdet")) == 3

    def test_boxes_with_the_scores_of_classes(self):
        scores = np.random.default_rng(0).random((1, 3, 80))
        found = read_outputs([self.boxes[None, :, :4], scores], (64, 64), 2, "a.onnx", "rtmdet")
        np.testing.assert_allclose(found[:, 4], scores[0, :, 2], rtol=1e-6)

    def test_yolox_grids(self):
        rows = np.zeros((1, 64 + 16 + 4, 85))
        rows[0, 64 + 5] = [0.5, 0.25, np.log(2), np.log(4), 0.8, 0.5, *[0] * 79]
        found = read_outputs([rows], (64, 64), 0, "a.onnx", "yolox")
        center, size = ((1 + 0.5) * 16, (1 + 0.25) * 16), (32, 64)
        expected = [center[0] - 16, center[1] - 32, center[0] + 16, center[1] + 32, 0.4]
        np.testing.assert_allclose(found[64 + 5], expected, rtol=1e-6)
        assert size == (32, 64) and found[:, 4].argmax() == 64 + 5

    def test_ultralytics_counts_centers_in_pixels_and_channels_first(self):
        rows = np.zeros((1, 84, 99), np.float32)
        rows[0, :, 7] = [30, 40, 20, 10, 0.6, 0.9, *[0] * 78]
        found = read_outputs([rows], (96, 96), None, "a.onnx", "ultralytics")
        np.testing.assert_allclose(found[7], [20, 35, 40, 45, 0.6], rtol=1e-6)
        other = read_outputs([rows], (96, 96), 1, "a.onnx", "ultralytics")
        assert other[7, 4] == np.float32(0.9) and found.shape == (99, 5)

    def test_end_to_end_rows_have_a_label(self):
        rows = np.array([[[1, 2, 3, 4, 0.9, 0], [5, 6, 7, 8, 0.8, 3], [0, 0, 9, 9, 0.7, 0]]])
        found = read_outputs([rows], (64, 64), None, "a.onnx", "ultralytics")
        np.testing.assert_allclose(found, rows[0, [0, 2], :5], rtol=1e-6)

    @pytest.mark.parametrize("num_classes, person", [(91, 1), (2, 0)])
    def test_rfdetr_counts_in_shares_of_the_image_and_says_logits(self, num_classes, person):
        boxes, logits = np.array([[[0.5, 0.25, 0.5, 0.5]]]), np.full((1, 1, num_classes), -4.0)
        logits[0, 0, person] = np.log(9)
        found = read_outputs([boxes, logits], (100, 200), None, "a.onnx", "rfdetr")
        np.testing.assert_allclose(found, [[50, 0, 150, 50, 0.9]], rtol=1e-6)

    def test_a_kind_is_recognised_by_its_outputs(self):
        def zeros(*shapes):
            return [np.zeros(shape, np.float32) for shape in shapes]

        outputs = {
            "rtmdet": [zeros((1, 3, 5), (1, 3)), zeros((1, 0, 5)), zeros((1, 9, 4), (1, 9, 80))],
            "yolox": [zeros((1, 8400, 85)), zeros((1, 8400, 6))],
            "ultralytics": [zeros((1, 84, 8400)), zeros((1, 5, 2100)), zeros((1, 300, 6))],
            "rfdetr": [[*zeros((1, 300, 4)), np.full((1, 300, 91), -3.0)]],
        }
        for kind, examples in outputs.items():
            for example in examples:
                assert recognise(example, (640, 640), "a.onnx") == kind
                read_outputs(example, (640, 640), None, "a.onnx", kind)
                other = "rfdetr" if kind != "rfdetr" else "ultralytics"
                if layout_of(example, (640, 640)) not in KINDS[other].layouts:
                    with pytest.raises(
                        DataError, match=f"not those of a detector of the kind {other}"
                    ):
                        read_outputs(example, (640, 640), None, "a.onnx", other)

    @pytest.mark.parametrize(
        "shapes",
        [
            [(1, 1000)],  # a classifier
            [(1, 17, 64, 48)],  # heatmaps
            [(1, 25200, 85)],  # YOLOv5
            [(2, 300, 6)],  # two images
            [(1, 300, 4), (1, 200, 91)],
            [(1, 300, 4)],
            [(1, 9, 5), (1, 9), (1, 9)],
            [],
        ],
    )
    def test_another_layout_is_a_sentence(self, shapes):
        outputs = [np.zeros(shape, np.float32) for shape in shapes]
        named = re.escape(", ".join(map(str, shapes)))
        with pytest.raises(DataError, match=f"a.onnx: outputs of the shapes {named} are not those"):
            recognise(outputs, (640, 640), "a.onnx")
        for kind in KINDS:
            with pytest.raises(DataError, match=f"not those of a detector of the kind {kind}"):
                read_outputs(outputs, (640, 640), None, "a.onnx", kind)

    def test_a_class_that_is_not_there_is_a_sentence(self):
        outputs = [np.zeros((1, 9, 4)), np.zeros((1, 9, 3))]
        with pytest.raises(DataError, match="has 3 classes; person_class 3 is none"):
            read_outputs(outputs, (64, 64), 3, "a.onnx", "rtmdet")

    def test_each_kind_gets_its_own_pixels(self):
        """Blue, green, red 0, 51, 255 of a picture twice as wide as high."""
        image = np.tile(np.array([0, 51, 255], np.uint8), (32, 64, 1))
        pixels = {kind: KINDS[kind].prepare(image, (64, 64)) for kind in KINDS}
        corner = {kind: blob[0, 0].tolist() for kind, (blob, _) in pixels.items()}
        assert corner["yolox"] == [0, 51, 255]
        np.testing.assert_allclose(corner["ultralytics"], [1, 0.2, 0], rtol=1e-6)
        np.testing.assert_allclose(
            corner["rtmdet"], [-103.53 / 57.375, (51 - 116.28) / 57.12, (255 - 123.675) / 58.395],
            rtol=1e-5,
        )  # fmt: skip
        expected = [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, -0.406 / 0.225]
        np.testing.assert_allclose(corner["rfdetr"], expected, rtol=1e-5)
        assert {kind: scale for kind, (_, scale) in pixels.items()} == {
            "rtmdet": (1, 1), "yolox": (1, 1), "ultralytics": (1, 1), "rfdetr": (1, 2)
        }  # fmt: skip
        assert (pixels["rfdetr"][0] == pixels["rfdetr"][0][0, 0]).all(), "no padding"

    def test_cuda_is_used_where_it_can_be(self):
        cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
        assert choose_providers(["TensorrtExecutionProvider", cuda, cpu], False) == [cuda, cpu]
        assert choose_providers([cuda, cpu], True) == [cpu] == choose_providers([cpu], False)

    def test_images_are_fitted_and_padded(self):
        padded, scale = fit(np.full((50, 100, 3), 7, np.uint8), (64, 64))
        assert scale == 0.64 and padded.shape == (64, 64, 3)
        assert (padded[:32] == 7).all() and (padded[32:] == 114).all()

    def test_images_that_are_thinner_than_a_pixel_when_fitted(self):
        for size_hw in ((3, 2000), (2000, 3), (1, 1)):
            padded, _ = fit(np.full((*size_hw, 3), 7, np.uint8), (64, 64))
            assert (padded == 7).any()

    def test_nms(self):
        assert nms(self.boxes, 0.65) == [0, 2] and nms(self.boxes, 0.99) == [0, 1, 2]
        assert nms(np.zeros((0, 5), np.float32), 0.65) == []
        equal = np.array([[0, 0, 10, 10, 0.5], [90, 0, 99, 9, 0.5], [0, 0, 10, 10, 0.5]])
        assert nms(equal, 0.65) == [0, 1], "of equal scores the first comes first"

    def test_a_missing_file_is_an_error(self):
        with pytest.raises(ConfigError, match=r"nowhere.onnx.*does not exist"):
            OnnxDetector("nowhere.onnx")

    def test_boxes_end_where_the_image_does(self, root):
        """Also in the padding that makes the image fit the model's input."""
        pytest.importorskip("onnxruntime", reason="needs the extra mmsapiens[detector]")
        detector = OnnxDetector(root / "tests" / "golden" / "detector.onnx")
        found = [[-9, -5, 20, 25], [40, 10, 99, 90], [40, 40, 60, 64], [-9, -9, -1, 64]]
        detector._session = Outputs(np.array([[*box, 0.9] for box in found])[None])
        boxes = detector(np.zeros((100, 200, 3), np.uint8), "a.jpg")  # 64 x 32 of 64 x 64
        scaled = [[0, 0, 62.5, 78.125], [125, 31.25, 200, 100]]
        np.testing.assert_allclose(sorted(boxes[:, :4].tolist()), scaled, rtol=1e-6)

    @pytest.mark.parametrize("person_class", [0, 2])
    def test_another_class_may_be_people(self, root, person_class):
        pytest.importorskip("onnxruntime", reason="needs the extra mmsapiens[detector]")
        path = root / "tests" / "golden" / "detector.onnx"
        detector = OnnxDetector(path, person_class=person_class)
        found = np.array([[[0, 0, 20, 30, 0.9], [30, 0, 60, 30, 0.8]]])
        detector._session = Outputs(found, np.array([[2, 0]]))
        (box,) = detector(np.zeros((64, 64, 3), np.uint8), "a.jpg")
        np.testing.assert_allclose(box, found[0, 0 if person_class == 2 else 1], rtol=1e-6)

    @pytest.mark.parametrize(
        ("options", "kept"),
        [({}, [0]), (dict(nms_thr=0.95), [0, 1]), (dict(score_thr=0.1), [0, 2])],
    )
    def test_the_thresholds_decide_who_is_kept(self, root, options, kept):
        """The second box lies over the first by 19 of 21 columns, the third is unsure."""
        pytest.importorskip("onnxruntime", reason="needs the extra mmsapiens[detector]")
        detector = OnnxDetector(root / "tests" / "golden" / "detector.onnx", **options)
        found = np.array([[0, 0, 20, 30, 0.9], [1, 0, 21, 30, 0.8], [40, 0, 60, 30, 0.2]])
        detector._session = Outputs(found[None])
        boxes = detector(np.zeros((64, 64, 3), np.uint8), "a.jpg")
        np.testing.assert_allclose(boxes, found[kept], rtol=1e-6)

    @pytest.mark.parametrize("kind", ["rtmdet", "yolox"])
    def test_an_exported_model(self, root, kind):
        """Its box is around the darkest quarter of the input's values: here the upper left."""
        pytest.importorskip("onnxruntime", reason="needs the extra mmsapiens[detector]")
        detector = OnnxDetector(root / "tests" / "golden" / "detector.onnx", kind)
        image = np.full((200, 100, 3), 255, np.uint8)
        image[:100, :50] = 0
        (found,) = detector(image, "a.jpg")
        np.testing.assert_allclose(found, [0, 0, 50, 100, 0.9], atol=3)


class TestFiles:
    """ONNX files made on the spot: tests/golden/detector.onnx, with its box put into rows."""

    @pytest.fixture
    def make(self, root, tmp_path):
        pytest.importorskip("onnxruntime", reason="needs the extra mmsapiens[detector]")
        onnx = pytest.importorskip(
            "onnx", reason="makes the files; one of the extra mmsapiens[dev]"
        )
        return lambda layout: export(onnx, root / "tests/golden/detector.onnx", layout, tmp_path)

    @pytest.mark.parametrize(
        "layout, kind",
        [("channels", "ultralytics"), ("end_to_end", "ultralytics"), ("detr", "rfdetr")],
    )
    def test_a_file_of_each_layout(self, make, layout, kind):
        detector = OnnxDetector(make(layout))
        assert detector.kind == kind
        image = np.full((200, 100, 3), 255, np.uint8)
        image[:100, :50] = 0
        (found,) = detector(image, "a.jpg")
        np.testing.assert_allclose(found, [0, 0, 50, 100, 0.9], atol=3)
        with pytest.raises(DataError, match="not those of a detector of the kind yolox"):
            OnnxDetector(make(layout), "yolox")

    def test_half_precision(self, make):
        detector = OnnxDetector(make("half"))
        image = np.full((64, 64, 3), 255, np.uint8)
        image[:32, :32] = 0
        np.testing.assert_allclose(detector(image, "a")[0], [0, 0, 32, 32, 0.9], atol=0.1)

    def test_what_is_no_detector_is_a_sentence(self, make, tmp_path):
        with pytest.raises(DataError, match=r"expected one input \(1, 3, H, W\).*found x"):
            OnnxDetector(make("grey"))
        (tmp_path / "broken.onnx").write_bytes(b"no model")
        with pytest.raises(DataError, match=r"broken.onnx is no model that ONNX Runtime"):
            OnnxDetector(tmp_path / "broken.onnx")


def export(onnx, base: Path, layout: str, folder: Path) -> Path:
    """Writes the detector with outputs of another layout; nine more rows are of another class."""
    model = onnx.load(base)
    graph, helper = model.graph, onnx.helper
    constants = []

    def constant(values, dtype=np.float32):
        name = f"constant_{len(constants)}"
        constants.append(onnx.numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(kind, *inputs, **attributes):
        graph.node.append(
            helper.make_node(kind, list(inputs), [f"new_{len(graph.node)}"], **attributes)
        )
        return graph.node[-1].output[0]

    def with_rest(rows, row):
        return add("Concat", rows, constant(np.tile(row, (1, 9, 1))), axis=1)

    if layout in ("grey", "half"):
        kind = onnx.TensorProto.FLOAT16 if layout == "half" else onnx.TensorProto.FLOAT
        shape = [1, 3, 64, 64] if layout == "half" else [1, 1, 64, 64]
        graph.node.insert(0, helper.make_node("Cast", ["x"], ["input"], to=onnx.TensorProto.FLOAT))
        graph.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, shape))
    else:
        to_center = np.zeros((5, 4), np.float32)  # x1, y1, x2, y2, score -> center and size
        to_center[[0, 2], 0] = to_center[[1, 3], 1] = 0.5
        to_center[[0, 2], 2] = to_center[[1, 3], 3] = -1, 1
        centers = add("MatMul", "dets", constant(to_center))
        score = add("MatMul", "dets", constant(np.eye(5)[:, 4:]))
        if layout == "channels":
            rows = add("Concat", centers, score, constant(np.zeros((1, 1, 2))), axis=2)
            outputs = [add("Transpose", with_rest(rows, [9, 9, 9, 9, 0, 0.95, 0]), perm=[0, 2, 1])]
        elif layout == "end_to_end":
            rows = add("Concat", "dets", constant(np.zeros((1, 1, 1))), axis=2)
            outputs = [with_rest(rows, [9, 9, 20, 20, 0.95, 2])]
        else:
            shares = add("Mul", centers, constant(1 / 64))
            logit = add("Log", add("Div", score, add("Sub", constant(1.0), score)))
            none = constant(np.full((1, 1, 1), -5.0)), constant(np.full((1, 1, 89), -5.0))
            classes = add("Concat", none[0], logit, none[1], axis=2)
            outputs = [
                with_rest(shares, [0.3, 0.3, 0.1, 0.1]),
                with_rest(classes, [3.0] + [-5.0] * 90),
            ]
        del graph.output[:]
        for name in outputs:
            graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    graph.initializer.extend(constants)
    path = folder / f"{layout}.onnx"
    onnx.save(model, path)
    return path


def test_an_unknown_kind_is_an_error(root):
    with pytest.raises(ConfigError, match=r"kind is auto, rtmdet, .*; found 'detr'"):
        OnnxDetector(root / "tests" / "golden" / "detector.onnx", "detr")


def test_a_score_at_the_threshold_is_enough(root):
    pytest.importorskip("onnxruntime", reason="needs the extra mmsapiens[detector]")
    detector = OnnxDetector(root / "tests" / "golden" / "detector.onnx", score_thr=0.5)
    found = np.array([[0, 0, 20, 30, 0.5], [40, 0, 60, 30, 0.4999]])
    detector._session = Outputs(found[None])
    boxes = detector(np.zeros((64, 64, 3), np.uint8), "a.jpg")
    np.testing.assert_allclose(boxes, found[:1])
