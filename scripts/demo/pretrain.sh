#!/usr/bin/env bash
# Features of a pretrained backbone, and what it attends to.
#
#   INPUT=photos OUTPUT=results scripts/demo/pretrain.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" pretrain --cfg-options model.attention_query=centre "$@"
