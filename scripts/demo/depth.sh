#!/usr/bin/env bash
# Renders people, trains sapiens_tiny on their depth, evaluates it on held-out ones and draws what it predicts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

config=configs/depth/synthetic/sapiens_tiny_synthetic_depth-192x144.py
data=${DATA_ROOT:-data}/synthetic_depth
work_dir=work_dirs/demo_depth

if [ ! -d "$data" ]; then # rendered beside it, so that an interrupted run leaves nothing half done
    python tools/make_synthetic_data.py depth "$data.partial" --num 1000 --variety 0.05 --workers 2 --overwrite
    mv "$data.partial" "$data"
fi
python tools/train.py "$config" --work-dir "$work_dir"
best=$(ls -t "$work_dir"/best_RMSE_*.pth | head -n 1)
python tools/test.py "$config" "$best" --work-dir "$work_dir/test" --show-dir "$work_dir/pictures"
echo
echo "checkpoint:  $best"
echo "pictures:    $work_dir/pictures (image | truth | prediction)"
echo "TensorBoard: tensorboard --logdir $work_dir"
