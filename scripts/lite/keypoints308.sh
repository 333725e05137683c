#!/usr/bin/env bash
# 308 keypoints of everybody in photos by an exported model: JSON and pictures.
#
#   INPUT=photos OUTPUT=results scripts/lite/keypoints308.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" pose-308 "$@"
