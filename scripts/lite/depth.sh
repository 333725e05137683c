#!/usr/bin/env bash
# Relative depth of the people in photos by an exported model; SEG_DIR is what seg.sh wrote.
#
#   INPUT=photos OUTPUT=results scripts/lite/depth.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" depth "$@"
