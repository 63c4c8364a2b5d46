"""Packaging: the wheel, the sdist and the example settings."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement

from paidchat.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    hatchling = [sys.executable, "-m", "hatchling", "build"]
    subprocess.run([*hatchling, "-t", "sdist", "-d", folder], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-xzf", next(folder.glob("*.tar.gz")), "-C", folder], check=True)
    unpacked = next(path for path in folder.iterdir() if path.is_dir())
    subprocess.run([*hatchling, "-t", "wheel", "-d", folder], cwd=unpacked, check=True, capture_output=True)
    return folder


def files_of(wheel: Path) -> dict[str, bytes]:
    """Every file in the wheel and its content."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_wheel_holds_the_page(built: Path) -> None:
    """The wheel has every file that the page loads, unchanged from frontend/, and no development files."""
    inside = files_of(next(built.glob("*.whl")))
    suffixes = {".png", ".css", ".js", ".svg", ".ico"}
    front_end = ROOT / "frontend"
    served = {path for glob in ("*", "*/*") for path in front_end.glob(glob) if path.suffix in suffixes}
    served -= set(front_end.glob("node_modules/*"))
    names = {path: f"paidchat/frontend/{path.relative_to(front_end)}" for path in served}
    assert {name for name in inside if name.startswith("paidchat/frontend/")} == set(names.values())
    assert all(inside[name] == path.read_bytes() for path, name in names.items())
    templates = {path.name for path in (ROOT / "src/paidchat/pages/templates").iterdir()}
    assert {Path(name).name for name in inside if name.startswith("paidchat/pages/templates/")} == templates


def test_wheel_holds_the_migrations(built: Path) -> None:
    """The wheel has every database migration."""
    migrations = "paidchat/storage/migrations"
    written = {path.name for path in (ROOT / "src" / migrations / "versions").glob("*.py")}
    inside = files_of(next(built.glob("*.whl")))
    assert written
    assert written == {Path(name).name for name in inside if name.startswith(f"{migrations}/versions/")}
    assert f"{migrations}/env.py" in inside


def test_wheel_holds_what_the_pages_are_made_of(built: Path) -> None:
    """The wheel has templates, translations, and the fonts of the pictures with their licence, as its metadata says."""
    inside = files_of(next(built.glob("*.whl")))
    pages = ROOT / "src/paidchat/pages"
    for path in (*pages.glob("templates/*"), *pages.glob("words/*"), *pages.glob("fonts/*")):
        assert inside[f"paidchat/pages/{path.relative_to(pages)}"] == path.read_bytes()
    [metadata] = [content.decode() for name, content in inside.items() if name.endswith(".dist-info/METADATA")]
    assert "License-File: src/paidchat/pages/fonts/LICENSE" in metadata
    assert b"Bitstream Vera Fonts Copyright" in inside["paidchat/pages/fonts/LICENSE"]


def test_wheel_holds_nothing_else(built: Path) -> None:
    """The wheel installs nothing except the package and its metadata."""
    inside = files_of(next(built.glob("*.whl")))
    assert {name.split("/")[0].split("-")[0] for name in inside} == {"paidchat"}
    assert not [name for name in inside if "node_modules" in name or name.endswith((".pyc", ".d.ts"))]


def test_every_dependency_has_a_version() -> None:
    """Each package that pyproject.toml requires is pinned to one version that it allows (`./dev lock`)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = map(Requirement, [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]])
    held = {
        line.partition("==")[0]: line.partition("==")[2].partition(" ")[0]
        for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    assert [str(one) for one in asked if not one.specifier.contains(held.get(one.name, "0"))] == []


def test_constraints_name_no_address() -> None:
    """constraints.txt has only versions: no URL of a package index, no path."""
    assert "/" not in (ROOT / "constraints.txt").read_text()


def test_example_settings_are_complete() -> None:
    """`.env.example` names each setting and each variable of compose.yaml once, and no others."""
    named = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    settings = {str(field.validation_alias) for field in Settings.model_fields.values()}
    compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    assert sorted(named) == sorted(settings | compose)


def test_example_settings_tell_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commented-out values in `.env.example` are the defaults: activating them changes nothing."""
    text = (ROOT / ".env.example").read_text()
    for name in re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE):
        monkeypatch.delenv(name, raising=False)
    commented = tmp_path / "commented.env"
    commented.write_text(text)
    filled_in = tmp_path / "filled_in.env"
    filled_in.write_text(re.sub(r"^#([A-Z_]+=.+)", r"\1", text, flags=re.MULTILINE))
    assert len(dotenv_values(filled_in)) > len(dotenv_values(commented))
    assert Settings(_env_file=filled_in) == Settings(_env_file=commented)
