"""The import contracts name every module, so that a new one cannot be missed."""

import ast
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


# Each module, and what neither it nor any module before it may import.
UNUSED = ("rich", "pygments", "requests", "aiohttp", "greenlet", "watchfiles", "pydantic.v1", "PIL")
LEFT_OUT = [
    ("paidchat", ("fastapi", "uvicorn", "stripe", "alembic", "sqlalchemy", *UNUSED)),
    ("paidchat.cli.main", ("fastapi", "uvicorn", "stripe", "alembic", "sqlalchemy", "pydantic", *UNUSED)),
    ("paidchat.cli.migration", ("fastapi", "uvicorn", "stripe", *UNUSED)),
    ("paidchat.cli.operate", ("fastapi", "uvicorn", *UNUSED)),
    ("paidchat.app", UNUSED),
    ("paidchat.serving.server", UNUSED),
]


def test_commands_import_only_what_they_need() -> None:
    """A command that serves nothing imports no web framework, and none imports what a library could use, but we don't.

    One that asks Stripe nothing imports no SDK.
    """
    lines = [f"import {module}; print([name for name in {names} if name in sys.modules])" for module, names in LEFT_OUT]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(["import sys", *lines])], capture_output=True, text=True, check=True
    )
    found = dict(zip((module for module, _ in LEFT_OUT), done.stdout.splitlines(), strict=True))
    assert found == {module: "[]" for module, _ in LEFT_OUT}


POSTGRESQL = ("asyncpg", "sqlalchemy.ext.asyncio", "sqlalchemy.dialects.postgresql")
OPENING = """
import asyncio, sys
import paidchat.app, paidchat.serving.server
from paidchat.storage.database import Database

async def opening():
    async with Database("sqlite:///board.db") as database:
        await database.check_sessions()

asyncio.run(opening())
"""


def test_a_board_on_sqlite_imports_nothing_of_postgresql(tmp_path: Path) -> None:
    """A process that serves from a file has neither PostgreSQL's driver nor SQLAlchemy's parts for it in memory."""
    program = f"{OPENING}print([name for name in {POSTGRESQL} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"


SQLITE = {"sqlite3", "pysqlite3", "aiosqlite"}
LIBRARY = "src/paidchat/storage/sqlite_library.py"
# What may import a copy of SQLite, and why.
MAY_IMPORT = {
    LIBRARY,  # chooses the one that opens the board's file
    "tests/support/transactions.py",  # uses aiosqlite's thread around that one
    "tests/torture/harness/miniature.py",  # reads the sandbox's file
    "tests/torture/harness/sandbox_file.py",  # also
}


def test_one_module_chooses_the_copy_of_sqlite() -> None:
    """Nothing else imports a copy of SQLite, or lets SQLAlchemy import one, but the sandbox, which has its own file.

    Two copies in one process would release each other's locks.
    """
    root = Path(__file__).parents[2]
    importing, without = set(), set()
    for path in (*root.glob("src/**/*.py"), *root.glob("tests/**/*.py")):
        name = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_bytes())):
            if SQLITE & {module.partition(".")[0] for module in imported(node)}:
                importing.add(name)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "create_engine":
                without |= set() if "module" in {keyword.arg for keyword in node.keywords} else {name}
    assert {name for name in importing if not name.startswith("src/paidchat/sandbox/")} == MAY_IMPORT
    assert without == set()


def imported(node: ast.AST) -> list[str]:
    """Return the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
