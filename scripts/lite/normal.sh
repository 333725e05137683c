#!/usr/bin/env bash
# Surface normals of the people in photos by an exported model; SEG_DIR is what seg.sh wrote.
#
#   INPUT=photos OUTPUT=results scripts/lite/normal.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" normal "$@"
