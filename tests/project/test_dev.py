"""`./dev`, run as a program in a folder of its own; nothing is installed and no network is used."""

import fcntl
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with only what `./dev` itself reads."""
    for name in ("dev", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def start(project: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Run `./dev` with the arguments, in a minimal environment."""
    return subprocess.Popen(
        [sys.executable, project / "dev", *arguments],
        env={"PATH": "/usr/bin:/bin", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(project: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `./dev`."""
    with start(project, *arguments, **environment) as process:
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def load(project: Path) -> ModuleType:
    """The script as a module."""
    loader = SourceFileLoader("dev_under_test", str(project / "dev"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def no_pip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PYTHONPATH on which pip cannot be imported."""
    folder = tmp_path_factory.mktemp("no_pip")
    (folder / "pip.py").write_text("raise ImportError('no pip')")
    return str(folder)


def install_stand_in(project: Path) -> None:
    """A `.venv` that counts as current and whose python prints its process id and arguments."""
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$$ $*"\nexit 7\n')
    python.chmod(0o755)
    (project / ".venv" / ".runtime-stamp").write_text(load(project).fingerprint())


def test_unknown_command(project: Path) -> None:
    """An unknown command prints the list of commands, with exit code 2."""
    code, output, errors = run(project, "dmeo")
    assert (code, output) == (2, "")
    assert "./dev demo [--port 8000]" in errors


def test_help(project: Path) -> None:
    """Asking for help is not an error."""
    code, output, errors = run(project, "--help")
    assert (code, errors) == (0, "")
    assert "./dev test [pytest arguments]" in output


def test_without_pip(project: Path, no_pip: str) -> None:
    """Without pip it says what to install, without a traceback."""
    code, _, errors = run(project, "demo", PYTHONPATH=no_pip)
    assert code == 1
    assert len(errors.splitlines()) == 2
    assert errors.endswith("has no pip. On Debian or Ubuntu, run apt-get install python3-pip, then try again.\n")
    assert not (project / ".venv" / ".unfinished").exists()


def test_half_made_environment(project: Path, no_pip: str) -> None:
    """An environment that a kill left half done is deleted and rebuilt."""
    (project / ".venv" / "bin").mkdir(parents=True)
    (project / ".venv" / ".unfinished").touch()
    (project / ".venv" / "bin" / "uv").touch()
    run(project, "demo", PYTHONPATH=no_pip)
    assert not (project / ".venv" / "bin" / "uv").exists()
    subprocess.run([project / ".venv" / "bin" / "python", "-c", "import json"], check=True)


def test_two_at_once(project: Path, no_pip: str) -> None:
    """While one `./dev` sets up, another says that it is waiting, and continues when the first is done."""
    with (project / "dev").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start(project, "demo", PYTHONPATH=no_pip)
        assert process.stderr
        assert "waiting for another ./dev" in process.stderr.readline()
        assert not (project / ".venv").exists()
    _, errors = process.communicate(timeout=60)
    assert "has no pip" in errors


def test_becomes_the_program(project: Path) -> None:
    """With everything installed `./dev` becomes the program: its arguments, process id and exit code."""
    install_stand_in(project)
    with start(project, "demo", "--port", "8123") as process:
        output, errors = process.communicate(timeout=60)
    assert output == f"{process.pid} -m paidchat demo --port 8123\n"
    assert errors == ""
    assert process.returncode == 7


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_stale_environment(project: Path, no_pip: str, name: str) -> None:
    """A change in the requirements makes the environment stale."""
    install_stand_in(project)
    with (project / name).open("a") as file:
        file.write("\n# changed\n")
    _, _, errors = run(project, "demo", PYTHONPATH=no_pip)
    assert "installing the runtime packages" in errors


@pytest.mark.parametrize("command", ["bench", "torture"])
def test_nothing_to_run(project: Path, command: str) -> None:
    """If there are no benchmarks or torture runs, it says so plainly, with exit code 2."""
    code, _, errors = run(project, command)
    assert code == 2
    assert errors.startswith("dev: ")
    assert "Traceback" not in errors
