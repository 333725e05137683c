#!/usr/bin/env bash
# 17 keypoints of everybody in photos by an exported model: JSON and pictures.
#
#   INPUT=photos OUTPUT=results scripts/lite/keypoints17.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" pose-17 "$@"
