#!/usr/bin/env bash
# 133 keypoints of everybody in photos, drawn on black as ControlNet takes them.
#
#   INPUT=photos OUTPUT=results scripts/demo/keypoints133_openpose.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" pose-133 --style openpose "$@"
