"""What `GET …/store-check` answers."""

from __future__ import annotations

from api.schemas.data import DownloadOut, UploadOut
from api.schemas.fields import View


class StoreCheckOut(View):
    content: str
    """What is to be uploaded, in ASCII."""
    upload: UploadOut
    """The store answers 412 where the content is there already."""
    download: DownloadOut | None
    """Null until the content was uploaded."""
