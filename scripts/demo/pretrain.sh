#!/usr/bin/env bash
# Pretrains sapiens_tiny by masked autoencoding on rendered people without labels, for at most four minutes,
# then finetunes body parts on a few labelled ones: from the result, and from scratch with the same budget.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Each can be set in the environment.
: "${UNLABELLED:=2000}"       # people to pretrain on
: "${PRETRAIN_SECONDS:=240}"  # the pretraining stops and saves after this, finished or not
: "${PRETRAIN_EPOCHS:=7}"
: "${PRETRAIN_EDGE:=192}"     # side of its square images
: "${LABELLED:=100}"          # people to finetune on, of 320 rendered ones, half of which are held out
: "${FINETUNE_EPOCHS:=20}"
: "${WORK_DIR:=work_dirs/demo_pretrain}"

mae=configs/pretrain/synthetic/mae_sapiens_tiny_synthetic-256x256.py
parts=configs/seg/synthetic_parts/sapiens_tiny_synthetic_parts-192x144.py
unlabelled=${DATA_ROOT:-data}/synthetic_people
labelled=${DATA_ROOT:-data}/synthetic_few_parts

render() {  # DIR OPTION ...: renders beside it, so that an interrupted run leaves nothing half done
    local dir=$1
    shift
    [ -d "$dir" ] && return
    python tools/make_synthetic_data.py goliath "$dir.partial" --variety 0.1 --workers 2 --overwrite "$@"
    mv "$dir.partial" "$dir"
}
render "$unlabelled" --num "$UNLABELLED" --seed 1
render "$labelled" --num 320 --seed 2

# A training that is stopped by SIGTERM saves its state and ends with exit code 75.
timeout --preserve-status "$PRETRAIN_SECONDS" python tools/train.py "$mae" --work-dir "$WORK_DIR/mae" --cfg-options \
    "input_size_hw=($PRETRAIN_EDGE,$PRETRAIN_EDGE)" "train_dataloader.dataset.data_root=$unlabelled/images" \
    "train_cfg.max_epochs=$PRETRAIN_EPOCHS" || [ $? -eq 75 ]
newest=$(ls -t "$WORK_DIR"/mae/*.pth | head -n 1)
python tools/convert_checkpoint.py "$newest" "$WORK_DIR/mae_clean.pth" --backbone --overwrite
python tools/reconstruct.py "$mae" "$newest" --input "$labelled/images/*00.*" --output "$WORK_DIR/pictures" \
    --cfg-options "input_size_hw=($PRETRAIN_EDGE,$PRETRAIN_EDGE)"

finetune() {  # NAME [OPTION ...]: trains into $WORK_DIR/NAME and leaves the last mIoU in $miou
    local name=$1
    shift
    python tools/train.py "$parts" --work-dir "$WORK_DIR/$name" --cfg-options \
        "train_dataloader.dataset.data_root=$labelled" "train_dataloader.dataset.indices=$LABELLED" \
        train_dataloader.dataset.val_ratio=0.5 \
        "val_dataloader.dataset.data_root=$labelled" val_dataloader.dataset.val_ratio=0.5 \
        "train_cfg.max_epochs=$FINETUNE_EPOCHS" "train_cfg.val_interval=$FINETUNE_EPOCHS" "$@"
    miou=$(grep -ho 'mIoU: [0-9.]*' "$(ls -t "$WORK_DIR/$name"/*/*.log | head -n 1)" | tail -n 1)
}
finetune pretrained model.backbone.init_cfg.type=Pretrained "model.backbone.init_cfg.checkpoint=$WORK_DIR/mae_clean.pth"
from_mae=$miou
finetune scratch
from_scratch=$miou

echo
echo "$LABELLED labelled people, $FINETUNE_EPOCHS epochs"
echo "  from the pretraining: $from_mae"
echo "  from scratch:         $from_scratch"
echo "pictures: $WORK_DIR/pictures (input | masked | reconstruction, at three mask ratios)"
