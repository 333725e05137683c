"""Segmentors, heads and losses."""

from seg.models.cross_entropy import CrossEntropyLoss
from seg.models.encoder_decoder import EncoderDecoder
from seg.models.vit_head import VitHead

__all__ = ["CrossEntropyLoss", "EncoderDecoder", "VitHead"]
