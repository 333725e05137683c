#!/usr/bin/env bash
# Features of photos by an exported backbone.
#
#   INPUT=photos OUTPUT=results scripts/lite/pretrain.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" pretrain "$@"
