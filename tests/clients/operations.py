"""Fails where a generated client lacks an operation of the OpenAPI document.

    operations.py DOCUMENT FILE_OR_DIRECTORY CASE    CASE: snake | camel | path
"""

import json
import pathlib
import re
import sys

METHODS = ("get", "post", "put", "patch", "delete")


def camel(name):
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def main():
    document, made, case = sys.argv[1:]
    paths = json.loads(pathlib.Path(document).read_text())["paths"]
    operations = [item[method]["operationId"] for item in paths.values() for method in METHODS if method in item]
    made = pathlib.Path(made)
    files = [made] if made.is_file() else [file for file in made.rglob("*") if file.suffix in (".py", ".rs", ".ts")]
    text = "\n".join(f"{file.stem} {file.read_text()}" for file in files)
    missing = [name for name in operations if not re.search(rf"\b{camel(name) if case == 'camel' else name}\b", text)]
    if missing:
        sys.exit(f"{made} lacks: {', '.join(missing)}")
    print(f"{len(operations)} operations")


main()
