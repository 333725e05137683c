#!/usr/bin/env bash
# Relative depth of the people in photos; SEG_DIR is what seg.sh wrote.
#
#   INPUT=photos OUTPUT=results scripts/demo/depth.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" depth "$@"
