"""Reading a config so that what it says is what will happen, or an error says why not."""

from engine.config.load import load_config
from engine.config.validate import check_data_roots, check_weights_exist

__all__ = ["check_data_roots", "check_weights_exist", "load_config"]
