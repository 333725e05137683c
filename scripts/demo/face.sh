#!/usr/bin/env bash
# Renders faces, finetunes sapiens_tiny on them, evaluates it on held-out ones and draws what it predicts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

config=configs/seg/synthetic_face/sapiens_tiny_synthetic_face-192x144.py
data=${DATA_ROOT:-data}/synthetic_face
work_dir=work_dirs/demo_face

if [ ! -d "$data" ]; then # rendered beside it, so that an interrupted run leaves nothing half done
    python tools/make_synthetic_data.py face "$data.partial" --num 640 --size 256 --overwrite
    mv "$data.partial" "$data"
fi
python tools/train.py "$config" --work-dir "$work_dir"
best=$(ls -t "$work_dir"/best_mIoU_*.pth | head -n 1)
python tools/test.py "$config" "$best" --work-dir "$work_dir/test" --show-dir "$work_dir/pictures"
echo
echo "checkpoint:  $best"
echo "pictures:    $work_dir/pictures (image | truth | prediction)"
echo "TensorBoard: tensorboard --logdir $work_dir"
