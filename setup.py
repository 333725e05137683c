"""Packaging of MMSapiens: one distribution, ``mmsapiens``."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="mmsapiens",
    version="0.2.0",
    description="Training and finetuning of human-centric vision transformers on MMEngine",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["engine*", "pretrain*", "seg*", "pose*", "mmsapiens*"]),
    install_requires=[
        "torch>=2.6",
        "mmengine>=0.10.7,<0.11",  # engine/config/layers.py uses its private parts
        "mmcv-lite>=2.1",
        "numpy>=1.26",
        "opencv-python>=4.8",
        "pillow>=10",
        "safetensors>=0.4",
        "tensorboard>=2.15",
        "rich>=13",
        "submitit>=1.5",
        "pycocotools>=2.0.8",
        # MMEngine 0.10.7 imports pkg_resources, and distutils on Python 3.12, which setuptools 82
        # drops.
        "setuptools<82",
    ],
    extras_require={
        "detector": ["onnxruntime>=1.17"],
        "dev": ["pytest>=8", "ruff>=0.9", "mypy>=1.14", "onnxruntime>=1.17"],
    },
)
