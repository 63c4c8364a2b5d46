"""SandboxSettings: where the sandbox keeps its file, how browsers reach it, and where it sends events."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SandboxSettings:
    """The settings of one sandbox.

    Attributes:
        data: Folder for `sandbox.db`; created if it does not exist.
        public_url: URL of the sandbox for browsers, with the path prefix, without a trailing slash.
        webhook_url: URL to which events are posted.
        webhook_secret: Shared secret that signs them.
    """

    data: Path
    public_url: str
    webhook_url: str
    webhook_secret: str
