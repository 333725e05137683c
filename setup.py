"""Packaging of MMSapiens: one distribution, ``mmsapiens``, with its configs and scripts."""

import re
from pathlib import Path

from setuptools import find_packages, setup

VERSION = re.search(
    r'^__version__ = "(.+)"', Path("mmsapiens/__init__.py").read_text(encoding="utf-8"), re.M
)

TESTED = ("3.10", "3.11", "3.12", "3.13")  # what the tests ran with

# Folders of the repository that an installation has inside of mmsapiens; mmsapiens/shipped.py finds
# them. test_packaging.py checks that no file is left out.
SHIPPED = {"configs": ["**/*.py"], "scripts": ["**/*.sh"]}

if __name__ == "__main__":
    setup(
        name="mmsapiens",
        version=VERSION[1],
        description="Training and finetuning of human-centric vision transformers on MMEngine",
        long_description=Path("README.md").read_text(encoding="utf-8"),
        long_description_content_type="text/markdown",
        license="Apache-2.0",
        classifiers=[
            *(f"Programming Language :: Python :: {version}" for version in TESTED),
            "Topic :: Scientific/Engineering :: Image Recognition",
        ],
        python_requires=">=3.10",
        # lite/ is no part of it: it goes as a folder to where nothing of this is installed.
        packages=[
            *find_packages(include=["engine*", "pretrain*", "seg*", "pose*", "mmsapiens*"]),
            *(f"mmsapiens.{folder}" for folder in SHIPPED),
        ],
        package_dir={f"mmsapiens.{folder}": folder for folder in SHIPPED},
        package_data={f"mmsapiens.{folder}": globs for folder, globs in SHIPPED.items()},
        entry_points={"console_scripts": ["mmsapiens = mmsapiens.cli:main"]},
        install_requires=[
            "torch>=2.6",
            "mmengine>=0.10.7,<0.11",  # engine/config/sources.py uses its private parts
            "mmcv-lite>=2.1",
            "numpy>=1.26",
            "scipy>=1.11",
            "opencv-python>=4.8",
            "pillow>=10",
            "safetensors>=0.4",
            "tensorboard>=2.15",
            "rich>=13",
            "submitit>=1.5",
            "pycocotools>=2.0.8",
            "huggingface_hub>=2,<3",  # mmsapiens/hub.py uses http_get, which its manual leaves out
            # MMEngine 0.10.7 imports pkg_resources, and distutils on Python 3.12, which setuptools
            # 82 drops.
            "setuptools<82",
        ],
        extras_require={
            "detector": ["onnxruntime>=1.17"],
            "export": ["onnx>=1.17", "onnxscript>=0.5", "onnxruntime>=1.17"],
            "exr": ["OpenEXR>=3.2"],
            "video": ["av>=14"],
            "dev": [
                "pytest>=8",
                "pytest-xdist>=3.6",
                "ruff>=0.9",
                "mypy>=1.14",
                "vulture>=2.14",
                "pre-commit>=4",
                "onnxruntime>=1.17",
                "OpenEXR>=3.2",
                "av>=14",
                "onnx>=1.17",
                "onnxscript>=0.5",
            ],
        },
    )
