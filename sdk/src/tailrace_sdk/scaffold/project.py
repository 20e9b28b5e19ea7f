"""The files of a new project: rendered from the templates of this package, and written into a folder of their own."""

import errno
import importlib.metadata
import os
import re
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import attrs

from tailrace import CONTRACT, AlreadyExistsError, storage_errors
from tailrace_sdk.scaffold.naming import PluginName


@attrs.frozen
class ProjectFile:
    """A file of every project; ``<<word>>`` stands for a name.

    Args:
        path: Where it lies in the project.
        template: Its template below ``templates``, without the ``.template`` behind its name.
        about: What it is, in a few words.
    """

    path: str
    template: str
    about: str


FILES = (
    ProjectFile("src/<<package>>/__init__.py", "<<kind>>/plugin.py", "the plugin: begin here"),
    ProjectFile("src/<<package>>/py.typed", "project/py.typed", "says that it has types"),
    ProjectFile("tests/test_conformance.py", "<<kind>>/conformance.py", "the tests of every <<kind>>"),
    ProjectFile("tests/test_exports.py", "<<kind>>/exports.py", "tests of yours"),
    ProjectFile("pyproject.toml", "project/pyproject.toml", "names, dependencies, entry point"),
    ProjectFile("README.md", "<<kind>>/README.md", "what users read"),
    ProjectFile(".github/workflows/test.yml", "project/workflow.yml", "tests on each Python"),
    ProjectFile(".gitignore", "project/gitignore", "what is not kept"),
)

_PLACEHOLDER = re.compile(r"<<(\w+)>>")


@attrs.frozen
class Project:
    """A project that is not written yet.

    Args:
        name: Its plugin.
        files: Content of each file by its path in the project.
        about: What each file is, in a few words, by its path.
    """

    name: PluginName
    files: Mapping[str, str] = attrs.field(repr=False)
    about: Mapping[str, str] = attrs.field(repr=False)


def new_project(name: PluginName) -> Project:
    """The project of a new plugin."""
    words = _words(name)
    templates = resources.files(__package__) / "templates"
    files, about = {}, {}
    for file in FILES:
        path = _filled(file.path, words)
        text = templates.joinpath(f"{_filled(file.template, words)}.template").read_text(encoding="utf-8")
        files[path], about[path] = _filled(text, words), _filled(file.about, words)
    return Project(name, files, about)


def make_project(project: Project, folder: Path) -> None:
    """Write a project into a folder that does not exist yet; after a failure, it does not exist either.

    Args:
        project: The project.
        folder: The folder to make.

    Raises:
        AlreadyExistsError: There is something of that name.
        StorageError: It cannot be written.
    """
    with storage_errors(folder):
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            # Something on the way there is a file.
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        try:
            folder.mkdir()
        except FileExistsError:
            message = f"{folder} exists already, and nothing in it is touched."
            raise AlreadyExistsError(message, hint="Make the project elsewhere: --dir FOLDER") from None
        try:
            for path, text in project.files.items():
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8", newline="\n")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _words(name: PluginName) -> Mapping[str, str]:
    """What stands in the place of each ``<<word>>``."""
    return {
        "kind": name.kind,
        "name": name.public,
        "distribution": name.distribution,
        "package": name.package,
        "stem": name.stem,
        "contract": CONTRACT,
        "series": _series(importlib.metadata.version("tailrace-core")),
    }


def _series(version: str) -> str:
    """The versions that a plugin which works with this one may expect to work with: ``>=0.1,<0.2``."""
    major, minor = (int(part) for part in version.split(".")[:2])
    after = f"0.{minor + 1}" if major == 0 else f"{major + 1}"
    return f">={major}.{minor},<{after}"


def _filled(text: str, words: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: words[found[1]], text)
