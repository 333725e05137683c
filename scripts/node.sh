#!/usr/bin/env bash
# Trains on one machine, one process a GPU.
#
#   scripts/node.sh CONFIG [arguments of mmsapiens train]
#
# CONFIG is a path or a name, such as seg/face/sapiens_1b_face-1024x768. An installed package has this file,
# too: `mmsapiens doctor` says where.
#
# Environment:
#   DEVICES                    GPUs to use: "0,1", "0", "10,11"; empty = CPU; unset = those of
#                              CUDA_VISIBLE_DEVICES, or all
#   TRAIN_BATCH_SIZE_PER_GPU   overrides train_dataloader.batch_size
#   OUTPUT_DIR                 results; default work_dirs/<the config's path below configs/>
#   RESUME_FROM                checkpoint to go on from, or "auto" for the last one of OUTPUT_DIR
#   LOAD_FROM                  checkpoint whose weights to start from
#   MODE, or mode              multi-gpu (default) or debug: one process, no workers, batch 1, so that
#                              breakpoint() works
#   NPROC                      processes on CPU (default 1)
# The exit code is the training's; 75 if it saved its state and stopped on a signal, 130 on Ctrl-C.
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,19p' "$0"; exit 2; }
config=$1
shift
python=${PYTHON:-python}

if [ -z "${DEVICES+set}" ]; then
    all=$("$python" -c 'import torch; print(*range(torch.cuda.device_count()), sep=",")')
    DEVICES=${CUDA_VISIBLE_DEVICES-$all}
fi
export CUDA_VISIBLE_DEVICES=$DEVICES
if [ -z "$DEVICES" ]; then
    processes=${NPROC:-1}
else
    IFS=, read -ra devices <<<"${DEVICES%,}"
    processes=${#devices[@]}
fi

args=(-m mmsapiens train "$config")
options=()
[ -z "${OUTPUT_DIR:-}" ] || args+=(--work-dir "$OUTPUT_DIR")
[ -z "${LOAD_FROM:-}" ] || args+=(--load-from "$LOAD_FROM")
if [ "${RESUME_FROM:-}" = auto ]; then
    args+=(--resume)
elif [ -n "${RESUME_FROM:-}" ]; then
    args+=(--resume "$RESUME_FROM")
fi
[ -z "${TRAIN_BATCH_SIZE_PER_GPU:-}" ] ||
    options+=("train_dataloader.batch_size=$TRAIN_BATCH_SIZE_PER_GPU")

MODE=${MODE:-${mode:-multi-gpu}}
case $MODE in
debug)
    exec "$python" "${args[@]}" --debug "$@"
    ;;
multi-gpu)
    [ ${#options[@]} -eq 0 ] || options=(--cfg-options "${options[@]}")
    if [ "$processes" -le 1 ]; then
        exec "$python" "${args[@]}" "$@" ${options[@]+"${options[@]}"}
    fi
    exec "$python" -m mmsapiens.ranks "$processes" \
        "${args[@]}" --launcher pytorch "$@" ${options[@]+"${options[@]}"}
    ;;
*)
    echo "MODE=$MODE: expected multi-gpu or debug" >&2
    exit 2
    ;;
esac
