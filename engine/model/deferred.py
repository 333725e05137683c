"""Puts off the first values of parameters until it is known which of them a file replaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_Call = Callable[[], Any]

#: They overwrite all of a parameter.
_FILLS = {Tensor.uniform_, Tensor.normal_, Tensor.fill_, Tensor.zero_} | {
    function for name, function in vars(init).items() if name[0] != "_" and name[-1] == "_"
}

#: They tell of a parameter what does not depend on its values.
_FACTS = {Tensor.size, Tensor.dim, Tensor.numel, Tensor.requires_grad_} | {
    getattr(getattr(Tensor, name), "__get__", getattr(Tensor, name))
    for name in (
        *("shape", "ndim", "dtype", "device", "layout", "grad", "requires_grad"),
        *(name for name in dir(Tensor) if name.startswith("is_") and name != "is_nonzero"),
    )
}


class DeferredDraws(TorchFunctionMode):
    """Within it, models are built and initialised without a number being drawn.

    To draw the weights of a model of a billion parameters takes longer than to read them. What
    would fill a parameter is remembered; a copy into it makes that void, and anything else that
    looks at its values first does it. Memory that nothing has filled is not touched, and so
    costs nothing.

        with DeferredDraws() as draws:
            model = build_model(cfg.model)
            load_weights(model, path, allow_missing="decode_head")
        draws.finish(model)
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending: dict[int, tuple[nn.Parameter, list[_Call]]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Puts off, forgets or catches up on what concerns a parameter."""
        kwargs = kwargs or {}
        target = args[0] if args else kwargs.get("tensor")
        if isinstance(target, nn.Parameter) and func in _FILLS:
            _, calls = self._pending.setdefault(id(target), (target, []))
            calls.append(lambda: func(*args, **kwargs))
            return target
        if func is Tensor.copy_ and isinstance(target, nn.Parameter):
            self._pending.pop(id(target), None)
        if self._pending and func not in _FACTS:
            for leaf in tree_leaves((args, kwargs)):
                self._draw(leaf)
        return func(*args, **kwargs)

    def finish(self, model: nn.Module) -> None:
        """Draws the parameters of a model that nothing has replaced; call it outside."""
        for parameter in model.parameters():
            self._draw(parameter)
        self._pending.clear()

    def _draw(self, parameter: Any) -> None:
        _, calls = self._pending.pop(id(parameter), (None, ()))
        with torch.no_grad():
            for call in calls:
                call()
