#!/usr/bin/env bash
# Renders people, trains sapiens_tiny to find their 17 keypoints, evaluates it on held-out pictures and draws them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

config=configs/pose/synthetic/sapiens_tiny_synthetic_coco-192x144.py
data=${DATA_ROOT:-data}/synthetic_coco
work_dir=work_dirs/demo_pose

if [ ! -d "$data" ]; then # rendered beside it, so that an interrupted run leaves nothing half done
    python tools/make_synthetic_data.py coco "$data.partial" --num 500 --num-val 80 --variety 0.2 --workers 2 --overwrite
    mv "$data.partial" "$data"
fi
python tools/train.py "$config" --work-dir "$work_dir"
best=$(ls -t "$work_dir"/best_coco_AP_*.pth | head -n 1)
python tools/test.py "$config" "$best" --work-dir "$work_dir/test" --show-dir "$work_dir/pictures"
echo
echo "checkpoint:  $best"
echo "pictures:    $work_dir/pictures (truth | prediction)"
echo "TensorBoard: tensorboard --logdir $work_dir"
