#!/usr/bin/env bash
# What the scripts beside it share: an exported model on a folder of photos, in jobs side by side.
#
#   INPUT=photos OUTPUT=results scripts/lite/infer.sh WHAT [arguments of the tool in lite/demo]
#
# WHAT is seg, depth, normal, pretrain, pose-17, pose-133 or pose-308.
#
# Environment, with the release's names:
#   INPUT                   folder, image, or .txt list of paths
#   OUTPUT                  results go to OUTPUT/MODEL_NAME; default results/WHAT
#   MODEL_NAME              sapiens_0.3b, sapiens_0.6b, sapiens_1b (default) or sapiens_2b
#   SAPIENS_LITE_CHECKPOINT_ROOT    holds [MODE/]{seg,depth,normal,pretrain,pose}/checkpoints/MODEL_NAME
#   MODE                    torchscript (default), bfloat16 or onnx: which file of these is taken
#   CHECKPOINT              this file instead
#   SEG_DIR                 masks for depth and normals: what seg.sh wrote
#   BATCH_SIZE              images, or people, at once
#   DETECTION_CHECKPOINT    .onnx file that finds people, or a JSON file of boxes; else an image is one person
#   RADIUS, LINE_THICKNESS, KPT_THRES    of drawn keypoints, pixels, and their lowest score
#   TOTAL_GPUS, JOBS_PER_GPU             how many GPUs, and jobs on each; 1 and 1
#   VALID_GPU_IDS           which GPUs, "0 1 2"; by default the first TOTAL_GPUS
#   LITE_ROOT               where lite/ is, if not beside scripts/
# The exit code is the highest of the jobs': 1 if an image could not be done, 2 if nothing could begin.
set -euo pipefail

[ $# -ge 1 ] && [ -n "${INPUT:-}" ] || { sed -n '2,25p' "$0"; exit 2; }
what=$1
shift
fail() {
    echo "$1" >&2
    exit 2
}
python=${PYTHON:-python}
lite=${LITE_ROOT:-$(dirname "$0")/../../lite}
model_name=${MODEL_NAME:-sapiens_1b}
mode=${MODE:-torchscript}
case $what in
seg) tool=vis_seg name="*" ;;
depth) tool=vis_depth name="*" ;;
normal) tool=vis_normal name="*" ;;
pretrain) tool=extract_feature name="*" ;;
pose-17) tool=vis_pose name="*_coco_best_coco_*" ;;
pose-133) tool=vis_pose name="*_coco_wholebody_best_*" ;;
pose-308) tool=vis_pose name="*_goliath_best_*" ;;
*) fail "$what is none of seg, depth, normal, pretrain, pose-17, pose-133, pose-308" ;;
esac
[ -f "$lite/demo/$tool.py" ] || fail "there is no $lite/demo/$tool.py: set LITE_ROOT to the folder lite/ of the repository"

case $mode in
torchscript | bfloat16) ending=_$mode.pt2 ;;
onnx) ending=.onnx ;;
*) fail "MODE=$mode is none of torchscript, bfloat16, onnx" ;;
esac
checkpoint=${CHECKPOINT:-}
if [ -z "$checkpoint" ]; then
    [ -n "${SAPIENS_LITE_CHECKPOINT_ROOT:-}" ] || fail "set CHECKPOINT to an exported file, or SAPIENS_LITE_CHECKPOINT_ROOT"
    places="{,$mode/}${what%%-*}/checkpoints/$model_name/$name$ending"
    found=()
    for prefix in "" "$mode/"; do
        while IFS= read -r path; do found+=("$path"); done < <(
            compgen -G "$SAPIENS_LITE_CHECKPOINT_ROOT/$prefix${what%%-*}/checkpoints/$model_name/$name$ending" || true
        )
    done
    [ ${#found[@]} -eq 1 ] || fail "${#found[@]} files are $SAPIENS_LITE_CHECKPOINT_ROOT/$places; expected one, or CHECKPOINT=FILE"
    checkpoint=${found[0]}
fi

args=("$checkpoint" --input "$INPUT" --output_root "${OUTPUT:-results/$what}/$model_name")
given() { # the option $1, if the variable $2 is set
    [ -z "${!2:-}" ] || args+=("$1" "${!2}")
}
given --batch_size BATCH_SIZE
case $what in
depth | normal) given --seg_dir SEG_DIR ;;
pose-*)
    args+=(--num_keypoints "${what#pose-}")
    given --det_checkpoint DETECTION_CHECKPOINT
    given --radius RADIUS
    given --thickness LINE_THICKNESS
    given --kpt_thr KPT_THRES
    ;;
esac

read -ra ids <<<"$(tr '(),' '   ' <<<"${VALID_GPU_IDS:-}")"
gpus=${TOTAL_GPUS:-1}
jobs=$((gpus * ${JOBS_PER_GPU:-1}))
[ ${#ids[@]} -eq 0 ] || [ "$gpus" -le ${#ids[@]} ] || fail "TOTAL_GPUS=$gpus, but VALID_GPU_IDS are ${ids[*]}"

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' INT TERM
for ((i = 0; i < jobs; i++)); do
    if [ ${#ids[@]} -gt 0 ]; then
        export CUDA_VISIBLE_DEVICES=${ids[$((i % gpus))]}
    elif [ "$gpus" -gt 1 ]; then
        export CUDA_VISIBLE_DEVICES=$((i % gpus))
    fi
    "$python" "$lite/demo/$tool.py" "${args[@]}" --shard "$((i + 1))/$jobs" "$@" &
    pids+=($!)
done
code=0
for pid in "${pids[@]}"; do
    wait "$pid" && one=0 || one=$?
    [ "$one" -le "$code" ] || code=$one
done
exit "$code"
