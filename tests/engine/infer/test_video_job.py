"""What is kept of a video while it is predicted."""

from engine.infer.video.spool import Spool


def test_a_spool_gives_back_what_was_added_as_often_as_asked(tmp_path):
    with Spool(tmp_path / "new") as spool:
        assert not list(spool)
        for i in range(5):
            spool.add({"frame_id": i, "text": "x" * 10**i})
        first, second = iter(spool), iter(spool)
        assert [next(first)["frame_id"], next(second)["frame_id"]] == [0, 0]
        assert [len(item["text"]) for item in first] == [10, 100, 1000, 10000]
        assert [item["frame_id"] for item in second] == [1, 2, 3, 4]
        assert not list((tmp_path / "new").iterdir()), "a kill leaves nothing"
