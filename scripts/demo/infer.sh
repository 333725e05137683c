#!/usr/bin/env bash
# What the scripts beside it share: predictions of a folder of photos by one of the released models.
#
#   INPUT=photos OUTPUT=results scripts/demo/infer.sh WHAT [arguments of mmsapiens infer]
#
# WHAT is parts, depth, normal, pretrain, pose-17, pose-133 or pose-308.
#
# Environment, with the release's names:
#   INPUT                   image, folder, pattern or list
#   OUTPUT                  results go to OUTPUT/MODEL_NAME; default results/WHAT
#   MODEL_NAME              sapiens_0.3b, sapiens_0.6b, sapiens_1b (default) or sapiens_2b
#   SAPIENS_CHECKPOINT_ROOT where weights are, or are downloaded to
#   CHECKPOINT              these weights instead of the released ones: of the released model's config, of the
#                           one beside them, as in a work directory, or of CONFIG
#   SEG_DIR                 masks for depth and normals: what seg.sh wrote
#   BATCH_SIZE              images, or people, a forward pass
#   DETECTION_CHECKPOINT    .onnx file that finds people; without it an image is one person
#   RADIUS, LINE_THICKNESS, KPT_THRES    of drawn keypoints, pixels, and their lowest score
#   TOTAL_GPUS, JOBS_PER_GPU             how many GPUs, and jobs on each; 1 and 1
#   VALID_GPU_IDS           which GPUs, "0 1 2"; without GPUs the jobs share the CPU
# The exit code is that of mmsapiens infer: 1 if an image could not be done.
set -euo pipefail

[ $# -ge 1 ] && [ -n "${INPUT:-}" ] || { sed -n '2,23p' "$0"; exit 2; }
what=$1
shift
python=${PYTHON:-python}
model_name=${MODEL_NAME:-sapiens_1b}
model=${model_name/sapiens_/sapiens-}-$what
if [ -n "${CHECKPOINT:-}" ] && [ -z "${CONFIG:-}" ] && compgen -G "$(dirname "$CHECKPOINT")/*.py" >/dev/null; then
    args=("$CHECKPOINT")
elif [ -n "${CHECKPOINT:-}" ]; then
    config=${CONFIG:-$("$python" -c 'import sys; from mmsapiens.zoo import find; print(find(sys.argv[1]).config)' "$model")}
    args=("$config" "$CHECKPOINT")
else
    args=("$model")
fi
args+=(--input "$INPUT" --output "${OUTPUT:-results/$what}/$model_name")

given() { # the option $1, if the variable $2 is set
    [ -z "${!2:-}" ] || args+=("$1" "${!2}")
}
given --batch-size BATCH_SIZE
case $what in
depth | normal)
    given --seg-dir SEG_DIR
    ;;
pose-*)
    given --detector DETECTION_CHECKPOINT
    given --radius RADIUS
    given --thickness LINE_THICKNESS
    given --kpt-thr KPT_THRES
    ;;
esac

read -ra ids <<<"$(tr '(),' '   ' <<<"${VALID_GPU_IDS:-}")"
gpus=${TOTAL_GPUS:-1}
if [ ${#ids[@]} -eq 0 ]; then
    read -ra ids <<<"$("$python" -c 'import torch; print(*range(torch.cuda.device_count()))')"
fi
if [ ${#ids[@]} -eq 0 ]; then
    devices=cpu:$gpus
elif [ "$gpus" -gt ${#ids[@]} ]; then
    echo "TOTAL_GPUS=$gpus, but VALID_GPU_IDS are ${ids[*]}" >&2
    exit 2
else
    devices=$(IFS=,; echo "${ids[*]:0:$gpus}")
fi
exec "$python" -m mmsapiens infer "${args[@]}" --devices "$devices" --jobs-per-device "${JOBS_PER_GPU:-1}" "$@"
