"""Dense prediction: body parts, faces, depth, surface normals."""

import engine.data
import engine.hooks
import engine.optim  # noqa: F401
import pretrain  # noqa: F401
from seg import background, parts, surface  # noqa: F401
