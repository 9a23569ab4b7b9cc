"""What can go wrong with an image, in words for the person in front of it."""

from __future__ import annotations

from deploy.embedded.errors import StackError


class ImageBuildFailed(StackError):
    """An image could not be built. The message says what happened and what to do."""


class ImageLoadFailed(StackError):
    """An engine did not take an image."""
