"""Check that scripts and styles mean the same without their comments, as they are served: by their syntax trees.

    .venv/bin/python tools/comments.py

It needs the front end's npm packages.
"""

import json
import subprocess
import sys
from pathlib import Path

from paidchat.pages.comments import KINDS, without_comments

FRONTEND = Path(__file__).parents[1] / "frontend"
# Reads pairs of code with a name, and prints the names of those that differ.
COMPARE = """
import { readFileSync } from "node:fs";
import { parse } from "acorn";
import { generate, parse as parseStyles } from "css-tree";
const PLACES = new Set(["start", "end"]);
const withoutPlaces = (key, value) => (PLACES.has(key) ? undefined : value);
const tree = (name, code) =>
  name.endsWith(".css")
    ? generate(parseStyles(code))
    : JSON.stringify(parse(code, { ecmaVersion: "latest", sourceType: "module" }), withoutPlaces);
const differs = ([name, file, served]) => tree(name, file) !== tree(name, served);
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).filter(differs).map(([name]) => name)));
"""


def main() -> None:
    """Compare every file; exit with an error that names those that differ."""
    folders = (FRONTEND, *(path for path in FRONTEND.iterdir() if path.is_dir() and path.name != "node_modules"))
    files = [path for folder in folders for path in sorted(folder.iterdir()) if path.suffix in KINDS]
    pairs = [(path.name, path.read_text(), without_comments(path.read_bytes()).decode()) for path in files]
    command = ["node", "--input-type=module", "--eval", COMPARE]
    done = subprocess.run(command, input=json.dumps(pairs), cwd=FRONTEND, stdout=subprocess.PIPE, text=True, check=True)
    if different := json.loads(done.stdout):
        sys.exit(f"without their comments these are something else: {', '.join(different)}")


if __name__ == "__main__":
    main()
