"""The picture in docs/architecture.md, drawn from the imports of the package: `tools/architecture.py [--check]`.

An arrow goes from a module or folder to those that it imports. Imports that also exist indirectly are left out, so that
the picture shows the layers and not every import.
"""

import sys
from pathlib import Path

import grimp

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by tools/architecture.py -->\n", "<!-- end of the picture -->\n"


def imports() -> dict[str, set[str]]:
    """Return, for each module and folder directly in the package, those that it imports."""
    graph = grimp.build_graph("paidchat")
    below = {child.rpartition(".")[2] for child in graph.find_children("paidchat")}
    found: dict[str, set[str]] = {name: set() for name in below - {"__main__"}}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            above, under = (module.split(".")[1:2] for module in (importer, imported))
            if above and under and above != under and above[0] in found and under[0] in found:
                found[above[0]].add(under[0])
    return found


def reachable(found: dict[str, set[str]], start: str) -> set[str]:
    """Return everything that a module imports, directly or indirectly."""
    seen: set[str] = set()
    to_see = list(found[start])
    while to_see:
        if (name := to_see.pop()) not in seen:
            seen.add(name)
            to_see += found[name]
    return seen


def picture() -> str:
    """Return the picture as Mermaid source."""
    found = imports()
    lines = ["```mermaid", "graph TD"]
    for name in sorted(found):
        indirect = set().union(*(reachable(found, under) for under in found[name]))
        lines += [f"    {name} --> {under}" for under in sorted(found[name] - indirect)]
    return "\n".join([*lines, "```"]) + "\n"


def main() -> None:
    """Redraw the picture; with `--check`, exit with an error if it is out of date."""
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    drawn = f"{before}{BEGIN}{picture()}{END}{after}"
    if "--check" in sys.argv[1:] and drawn != page:
        sys.exit("docs/architecture.md is out of date; run .venv/bin/python tools/architecture.py")
    PAGE.write_text(drawn)


if __name__ == "__main__":
    main()
