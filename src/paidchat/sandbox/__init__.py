"""Stripe in miniature: an honest stranger the application reaches over HTTP alone, and no money moves."""

from paidchat.sandbox.application import create_sandbox, running
from paidchat.sandbox.settings import SandboxSettings

__all__ = ["SandboxSettings", "create_sandbox", "running"]
