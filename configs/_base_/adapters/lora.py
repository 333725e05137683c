# Low-rank adapters beside a frozen backbone (Hu et al., 2021), its norms and the head learn. The
# last of the bases of a finetuning with layer decay.
adapter = dict(type="lora", rank=16, alpha=32, targets=("qkv", "proj", "ffn"), dropout=0.0)
# Adapters begin at zero: what low layers know needs no protection by lower rates.
optim_wrapper = dict(
    paramwise_cfg=dict(layer_decay_rate=1.0),
    optimizer=dict(lr=1e-3, weight_decay=0.01),
)
