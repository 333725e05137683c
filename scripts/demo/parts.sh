#!/usr/bin/env bash
# Renders people, finetunes sapiens_tiny on them, evaluates it on held-out ones and draws what it predicts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

config=configs/seg/synthetic_parts/sapiens_tiny_synthetic_parts-192x144.py
data=${DATA_ROOT:-data}/synthetic_parts
work_dir=work_dirs/demo_parts

if [ ! -d "$data" ]; then # rendered beside it, so that an interrupted run leaves nothing half done
    python tools/make_synthetic_data.py goliath "$data.partial" --num 1000 --variety 0.1 --workers 2 --overwrite
    mv "$data.partial" "$data"
fi
python tools/train.py "$config" --work-dir "$work_dir"
best=$(ls -t "$work_dir"/best_mIoU_*.pth | head -n 1)
python tools/test.py "$config" "$best" --work-dir "$work_dir/test" --show-dir "$work_dir/pictures"
echo
echo "checkpoint:  $best"
echo "pictures:    $work_dir/pictures (image | truth | prediction)"
echo "TensorBoard: tensorboard --logdir $work_dir"
