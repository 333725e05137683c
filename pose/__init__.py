"""Top-down keypoints: 17, 133, 308, or a set of your own."""

import engine.data
import engine.hooks
import engine.optim  # noqa: F401
import pretrain  # noqa: F401
from pose import codec, datasets, drawing, infer, metrics, models, transforms  # noqa: F401
