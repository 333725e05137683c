# What every training shares: hooks, logs, seed, processes.
randomness = dict(seed=0)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    # timeout=SECONDS: how long ranks wait for each other; check_timeout=60: at the start
    dist_cfg=dict(backend="nccl"),
)
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    throughput=dict(type="ThroughputHook"),
    logger=dict(type="LoggerHook", interval=10),
    param_scheduler=dict(type="ParamSchedulerHook"),
    # Keeps the last two, and the best by the first figure that the evaluator reports.
    checkpoint=dict(
        type="CheckpointHook",
        interval=1,
        max_keep_ckpts=2,
        save_best="auto",
        greater_keys=["mIoU", "AP"],
        less_keys=["loss", "RMSE", "mean_angle"],
    ),
    sampler_seed=dict(type="DistSamplerSeedHook"),
)
custom_hooks = [
    dict(type="PicturesHook", num_samples=4, train_interval=500),
    dict(type="ProgressHook"),
]
log_processor = dict(type="SignificantLogProcessor", by_epoch=True)
log_level = "INFO"
load_from = None
resume = False
