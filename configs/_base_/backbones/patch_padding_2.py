# The released models of LIP, CIHP, normals and keypoints cut their patches from an image padded by
# 2 pixels; the pretraining did not pad.
model = dict(
    backbone=dict(
        patch_cfg=dict(padding=2),
        init_cfg=dict(allow_patch_padding_change=True),
    )
)
