"""A config that formats its text once, and not for each checkpoint that holds it."""

from __future__ import annotations

from mmengine.config import Config


class RunConfig(Config):
    """MMEngine's config; laying out its text takes longer than saving a small checkpoint."""

    @property
    def pretty_text(self) -> str:
        """The config as Python source."""
        state, known = repr(self._cfg_dict), self.__dict__.get("_laid_out")
        if known is None or known[0] != state:
            known = (state, super().pretty_text)
            object.__setattr__(self, "_laid_out", known)
        return known[1]
