"""A second device on a machine that has none: its tensors live in main memory, but meet no tensor of the processor.

Inside `stand_in()` whatever is moved to `DEVICE`, or made there, becomes an `Away`. An operation that mixes it with a tensor
left behind fails as it would on a graphics card; scalars, copies and the indices of an indexing may come from the processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")  # the one device whose name torch accepts without having it
aten: Any = torch.ops.aten
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
COPYING = {aten._to_copy.default, aten.copy_.default}
READING = {aten._local_scalar_dense.default}


class Away(Tensor):
    """A tensor on the stand-in device; `here` holds its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Away:
        """Wrap a tensor."""
        make: Any = Tensor._make_wrapper_subclass
        return make(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=DEVICE,
        )

    def __init__(self, here: Tensor) -> None:
        self.here = here

    def tolist(self) -> list[Any]:
        """Read the numbers, which torch does for no subclass by itself."""
        return self.here.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Read the numbers where that is asked for in spite of the device."""
        if not force:
            raise TypeError("can't convert a tensor of another device to numpy")
        return self.here.numpy()

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute in main memory."""
        return compute(func, args, kwargs or {})


@contextmanager
def stand_in() -> Iterator[None]:
    """Within it, `DEVICE` is a device like any other."""
    with _Operations(), _Literals():
        yield


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """`torch.tensor` is no operation that a dispatch mode sees."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device = (kwargs or {}).get("device")
        if func is torch.tensor and device is not None:
            return torch.tensor(*args, **{**kwargs, "device": "cpu"}).to(device)
        return func(*args, **(kwargs or {}))


def compute(func: Any, args: Any, kwargs: Any) -> Any:
    """Run one operation where its tensors are.

    Raises:
        RuntimeError: they are on two devices.
    """
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    away = [t for t in tensors if isinstance(t, Away)]
    behind = [t for t in tensors if not isinstance(t, Away) and t.dim()]
    first_decides = func in INDEXING | {aten.copy_.default}
    mixed = away and behind and func not in COPYING and not (func in INDEXING and isinstance(args[0], Away))
    if mixed:
        raise RuntimeError(
            f"{func} mixes devices: {[tuple(t.shape) for t in away]}, {[tuple(t.shape) for t in behind]}"
        )
    wanted = kwargs.get("device")
    there = isinstance(args[0], Away) if first_decides else bool(away) and func not in READING
    if wanted is not None:
        there = torch.device(wanted).type == DEVICE.type
        kwargs = kwargs | {"device": torch.device("cpu")}
    inner_args, inner = tree_map_only(Away, lambda t: t.here, (args, kwargs))
    result = func(*inner_args, **inner)
    return return_and_correct_aliasing(func, args, kwargs, tree_map_only(Tensor, Away, result)) if there else result
