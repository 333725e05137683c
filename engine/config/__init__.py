"""Reading a config so that what it says is what will happen, or an error says why not."""
# ruff: noqa: F401

from engine.config.load import load_config
