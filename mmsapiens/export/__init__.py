"""Models as files that run without this framework: TorchScript, torch.export, ONNX, safetensors.

:func:`mmsapiens.export.write.export` makes them, :mod:`.model` takes them in place of a checkpoint.
Nothing is imported here: the process that checks a new file takes what its format needs alone.
"""
