"""What a config and a command line say of the files of predictions."""

from engine.infer import build_writer

META = {"classes": ("skin", "hair"), "palette": ((0, 0, 0), (9, 9, 9))}


def test_the_command_line_goes_before_the_config(face_config):
    cfg = face_config(writer__opacity=0.25)
    assert build_writer(cfg, META).opacity == 0.25
    assert build_writer(cfg, META, {"opacity": 0.75}).opacity == 0.75
