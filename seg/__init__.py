"""Dense prediction: body parts, faces, depth, surface normals."""

import engine.data
import engine.hooks
import engine.optim  # noqa: F401
import pretrain  # noqa: F401
from seg import (  # noqa: F401
    datasets,
    hooks,
    map_metrics,
    map_pictures,
    map_writers,
    metrics,
    models,
    transforms,
    visualization,
    writer,
)
