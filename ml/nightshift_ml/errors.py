"""Failures that cross the wire, each with the type name the workflows know."""

from __future__ import annotations

from typing import ClassVar


class MlError(Exception):
    """Base of all expected failures; the class name is the failure type on the wire."""

    retryable: ClassVar[bool] = False


class InvalidInput(MlError):
    """The request itself is wrong; the message names the key."""


class DeviceUnavailable(MlError):
    """The requested device does not exist on this machine or in this build."""


class ArtifactMissing(MlError):
    """An object is not (yet) in the artifact store, or the store cannot be reached."""

    retryable = True


class DataDefect(MlError):
    """The data breaks a rule (purge, order, range); the same data would break it again."""


class FitFailed(MlError):
    """A library failed, or the process that fitted died."""

    retryable = True


class NumericFailure(MlError):
    """A result is not finite or not a probability."""


FAILURES: dict[str, type[MlError]] = {
    cls.__name__: cls
    for cls in (InvalidInput, DeviceUnavailable, ArtifactMissing, DataDefect, FitFailed, NumericFailure)
}
