#!/usr/bin/env bash
# Body parts of the people in photos: labels, foreground, pictures.
#
#   INPUT=photos OUTPUT=results scripts/demo/seg.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" parts "$@"
