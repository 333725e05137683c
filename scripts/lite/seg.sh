#!/usr/bin/env bash
# Body parts of the people in photos by an exported model: labels, foreground, JSON, pictures.
#
#   INPUT=photos OUTPUT=results scripts/lite/seg.sh
#
# Variables: see infer.sh.
exec "$(dirname "$0")/infer.sh" seg "$@"
