"""What the tools in ``lite/demo`` share. It needs NumPy, OpenCV, and torch or ONNX Runtime."""
