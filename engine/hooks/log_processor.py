"""Log lines whose numbers keep their digits, however small they are."""

from __future__ import annotations

from typing import Any

from mmengine.registry import LOG_PROCESSORS
from mmengine.runner import LogProcessor


@LOG_PROCESSORS.register_module()
class SignificantLogProcessor(LogProcessor):
    """MMEngine's, with ``num_digits`` significant digits in place of as many decimals.

    The loss of a heatmap is 0.00002 at the end of a training, which four decimals write as 0.0000.
    Numbers from 0.1 on look as ever.
    """

    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Returns the scalars and the line of an iteration."""
        scalars, line = super().get_log_after_iter(runner, batch_idx, mode)
        return scalars, self._rewrite(line, scalars)

    def get_log_after_epoch(
        self, runner: Any, batch_idx: int, mode: str, with_non_scalar: bool = False
    ) -> tuple[dict, str]:
        """Returns the scalars and the line of a validation or a test."""
        scalars, line = super().get_log_after_epoch(runner, batch_idx, mode, with_non_scalar)
        return scalars, self._rewrite(line, scalars)

    def _rewrite(self, line: str, scalars: dict) -> str:
        for name, value in scalars.items():
            if isinstance(value, float) and 0 < abs(value) < 0.1:
                text = f" {name}: {value:.{self.num_digits}f}"
                line = line.replace(text, f" {name}: {value:.{self.num_digits}g}")
        return line
