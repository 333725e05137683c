"""The segmentor, its head and its loss."""

from seg.parts.models.cross_entropy import CrossEntropyLoss
from seg.parts.models.encoder_decoder import EncoderDecoder
from seg.parts.models.vit_head import VitHead

__all__ = ["CrossEntropyLoss", "EncoderDecoder", "VitHead"]
