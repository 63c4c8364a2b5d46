"""The import contracts name every module, so that a new one cannot be missed."""

import subprocess
import sys
import tomllib
from pathlib import Path

import paidchat

CONTRACTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
MODULES = {
    path.stem
    for path in Path(paidchat.__file__).parent.iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
}


def contract(name: str) -> dict[str, list[str]]:
    """Return the contract of this name."""
    [found] = [each for each in CONTRACTS if each["name"] == name]
    return dict(found)


def test_the_layers_name_every_module() -> None:
    """Each module and folder of the package is in exactly one layer."""
    floors = [module.strip() for layer in contract("Imports point down only")["layers"] for module in layer.split("|")]
    assert sorted(floors) == sorted(MODULES)


def test_the_sandbox_may_import_no_sibling() -> None:
    """The sandbox is forbidden to import anything else in the package."""
    forbidden = set(contract("The sandbox imports nothing else from the package")["forbidden_modules"])
    assert forbidden == {f"paidchat.{module}" for module in MODULES - {"sandbox", "__main__"}} | {"stripe"}


LEFT_OUT = [
    ("paidchat.cli.main", ("fastapi", "uvicorn", "stripe", "httpx", "alembic")),
    ("paidchat.cli.migration", ("fastapi", "uvicorn", "stripe", "httpx")),
    ("paidchat.cli.operate", ("fastapi", "uvicorn")),
]


def test_commands_import_only_what_they_need() -> None:
    """A command that serves nothing imports no web framework, and one that asks Stripe nothing imports no SDK."""
    lines = [f"import {module}; print([name for name in {names} if name in sys.modules])" for module, names in LEFT_OUT]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(["import sys", *lines])], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]"] * len(LEFT_OUT)
