#!/usr/bin/env bash
# 17 keypoints of everybody in photos, drawn on black as ControlNet takes them.
#
#   INPUT=photos OUTPUT=results scripts/demo/keypoints17_openpose.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" pose-17 --style openpose "$@"
