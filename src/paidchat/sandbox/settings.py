"""SandboxSettings: where the sandbox keeps its file, how browsers reach it, and whom it notifies."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """What a sandbox needs to know, given once and never changed.

    Attributes:
        data: Folder for `sandbox.db`; created when missing.
        public_url: Where a browser reaches the sandbox, path prefix included, no slash at the end.
        webhook_url: Where events are posted.
        webhook_secret: Shared secret that signs them.
    """

    data: Path
    public_url: str
    webhook_url: str
    webhook_secret: str
