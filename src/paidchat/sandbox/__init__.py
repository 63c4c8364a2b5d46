"""The sandbox: a stand-in for Stripe that the application reaches only over HTTP. No money moves."""

from paidchat.sandbox.application import create_sandbox, running
from paidchat.sandbox.settings import SandboxSettings

__all__ = ["SandboxSettings", "create_sandbox", "running"]
