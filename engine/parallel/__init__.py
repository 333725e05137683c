"""Training in several processes whose parameters, gradients and optimizer states are shards.

``parallelize`` applies it to a model; the model's own files know nothing of it.
"""
# ruff: noqa: F401

from engine.parallel.recipe import Sharding, parallelize, sharded_dtype, with_host_backend
from engine.parallel.shards import gathered, is_sharded, local, whole
