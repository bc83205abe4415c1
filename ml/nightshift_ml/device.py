"""Is there a GPU? Asked of the driver itself, before any library is loaded or any work done."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache

from .errors import DeviceUnavailable


@cache
def cuda_devices() -> int:
    """Number of CUDA devices the driver reports; 0 without a driver."""
    for name in ("libcuda.so.1", ctypes.util.find_library("cuda")):
        if name is None:
            continue
        try:
            driver = ctypes.CDLL(name)
            count = ctypes.c_int(0)
            if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
                return count.value
        except (OSError, AttributeError):
            continue
    return 0


def require_device(device: str) -> None:
    """Raises DeviceUnavailable when `cuda` is asked for on a machine without a GPU."""
    if device == "cuda" and cuda_devices() == 0:
        raise DeviceUnavailable(
            "device 'cuda' was asked for, but the NVIDIA driver reports no GPU on this machine; "
            "set nightshift.model.device to 'cpu', or run this ML worker where there is a GPU"
        )
