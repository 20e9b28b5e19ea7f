"""Every check of the project, each a session. Plain ``nox`` runs what continuous integration runs, the tests last."""

import pathlib
import shutil
import sys
import tomllib

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = [
    "lint",
    "types",
    "imports",
    "api",
    "docs",
    "site",
    "embed",
    "wheels",
    "scaffold",
    "thirdparty",
    "lowest",
    "proxywhirl",
    "spreadsheets",
    "reports",
    "tests",
]
nox.options.stop_on_first_error = True

ROOT = pathlib.Path(__file__).parent
CODE = ("core", "plugins", "sdk", "tests", "noxfile.py")
# Each process has tests of its own, and takes over from the other when it has none left.
SIDE_BY_SIDE = ("-n2", "--dist=worksteal")
DISTRIBUTIONS = (
    "core",
    "sdk",
    *sorted(f"plugins/{path.parent.name}" for path in ROOT.glob("plugins/*/pyproject.toml")),
)


def sync(session: nox.Session, *arguments: str) -> None:
    """Install the workspace, editable, with dependency groups, into the session's environment."""
    session.run_install(
        "uv",
        "sync",
        "--quiet",
        f"--python={session.virtualenv.location}",
        *arguments,
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location, "UV_COMPILE_BYTECODE": "1"},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Format and lint with ruff."""
    sync(session, "--only-group=lint")
    session.run("ruff", "format", "--check", *CODE)
    session.run("ruff", "check", *CODE)


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly, of every package and the tests."""
    sync(session, "--group=types")
    session.run("mypy", "core/src", "sdk/src", *(f"{path}/src" for path in DISTRIBUTIONS[2:]), "tests")


@nox.session
def imports(session: nox.Session) -> None:
    """Check who imports whom."""
    sync(session, "--group=imports")
    session.run("lint-imports")


@nox.session
def api(session: nox.Session) -> None:
    """Compare the public API with that of the last release: nothing of it may break."""
    sync(session, "--group=api")
    session.run("pytest", "tests/api", "--no-cov", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run every code block of README and docs."""
    sync(session)
    session.run("pytest", "tests/docs", "--no-cov", *SIDE_BY_SIDE, *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Build the site of the documentation, with warnings as errors, and look at it in a browser."""
    sync(session, "--only-group=site")
    folder = pathlib.Path(session.create_tmp()).resolve() / "site"
    shutil.rmtree(folder, ignore_errors=True)
    # What builds it has its settings beside the pages, and keeps there what it remembers.
    shutil.copytree("docs", folder / "docs")
    (folder / "docs" / "zensical.toml").rename(folder / "zensical.toml")
    (folder / "docs" / "images" / "README.md").unlink()
    with session.chdir(folder):
        session.run("zensical", "build", "--strict", env={"NO_COLOR": "1"})
    # Nothing of ours is needed, nor installed, to look at it.
    chosen = ("tests/site", "--confcutdir=tests/site", *session.posargs)
    session.run("pytest", *chosen, env={"SITE": str(folder / "site")})
    session.log(f"To read it: python -m http.server --directory {folder / 'site'}")


@nox.session
def embed(session: nox.Session) -> None:
    """Run the examples for applications in their frameworks, under real servers."""
    sync(session, "--group=embed")
    page = "tests/docs/test_documentation.py::test_every_code_block_runs"
    session.run(
        "pytest", "--no-cov", *SIDE_BY_SIDE, "tests/embed", page, *session.posargs, env={"DOCS_SESSION": "embed"}
    )


@nox.session
def wheels(session: nox.Session) -> None:
    """Build all distributions, look into them, and use them from a bare environment."""
    sync(session, "--group=wheels")
    built = pathlib.Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--all-packages", f"--out-dir={built}", external=True)
    session.run(
        "uv",
        "build",
        "--quiet",
        "--wheel",
        "tests/thirdparty/tailrace-sink-journal",
        f"--out-dir={built}",
        external=True,
    )
    # What `nox -s scaffold` runs has a session of its own.
    chosen = ("tests/packaging", "--ignore=tests/packaging/test_scaffold.py", *session.posargs)
    session.run("pytest", "--no-cov", *SIDE_BY_SIDE, *chosen, env={"DISTRIBUTIONS": str(built)})


@nox.session
def scaffold(session: nox.Session) -> None:
    """Begin a plugin of each kind as its author would: from wheels, in a bare environment, without an edit."""
    sync(session, "--group=wheels")
    built = pathlib.Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    for package in ("tailrace-core", "tailrace-sdk"):
        session.run("uv", "build", "--quiet", "--wheel", f"--package={package}", f"--out-dir={built}", external=True)
    chosen = ("tests/packaging/test_scaffold.py", *session.posargs)
    session.run("pytest", "--no-cov", *chosen, env={"DISTRIBUTIONS": str(built)})


@nox.session
def thirdparty(session: nox.Session) -> None:
    """Test plugins of third parties: their wheels and ours, in an environment that has nothing else of us."""
    built = pathlib.Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(built, ignore_errors=True)
    projects = sorted(path.parent for path in ROOT.glob("tests/thirdparty/*/pyproject.toml"))
    for path in ("core", "sdk", "plugins/source-pool", *map(str, projects)):
        session.run("uv", "build", "--quiet", "--wheel", path, f"--out-dir={built}", external=True)
    names = [tomllib.loads((path / "pyproject.toml").read_text())["project"]["name"] for path in projects]
    tools = ("mypy==2.4.1", "pytest-xdist>=3.6")
    # uv knows wheels by name and version, and would take those of the last run for these.
    fresh = [f"--refresh-package={name}" for name in ("tailrace-core", "tailrace-sdk", "tailrace-source-pool", *names)]
    wanted = [f"{name}[test]" for name in names]
    session.run_install(
        "uv", "pip", "install", "--quiet", f"--find-links={built}", *fresh, *wanted, *tools,
        env={"UV_COMPILE_BYTECODE": "1"},
    )  # fmt: skip
    for path in projects:
        with session.chdir(path):
            tested = [name for name in ("src", "tests") if (path / name).is_dir()]
            session.run("mypy", "--strict", f"--cache-dir={built.with_name('mypy')}", *tested)
            if "tests" in tested:
                session.run("pytest", "-q", *SIDE_BY_SIDE, *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of direct dependencies that the metadata allows."""
    editable = [argument for path in DISTRIBUTIONS for argument in ("--editable", path)]
    session.run_install(
        "uv", "pip", "install", "--quiet", "--resolution=lowest-direct", "--group=test", *editable,
        env={"UV_COMPILE_BYTECODE": "1"},
    )  # fmt: skip
    # What stands on other packages: data, files, the store, keys, charts, the wire, the command line. Faults of the
    # disk, hostile files, what chance comes up with, and rules of our own are the same with every version.
    parts = (
        *("charts", "encode", "expressions", "fonts", "reading_*", "redaction_search", "settings", "store"),
        *("timestamps", "transform", "vault_*"),
    )
    core = sorted(str(path) for part in parts for path in ROOT.glob(f"tests/core/test_{part}.py"))
    formats = ("csv", "excel", "excel_proof", "html", "json", "pdf")
    ours = (*(f"format_{name}" for name in formats), "sink_disk", "sink_webhook")
    ours = (*ours, "source_analytics", "source_dashboard", "source_health")
    plugins = sorted(str(path) for part in ours for path in ROOT.glob(f"tests/plugins/test_{part}.py"))
    command = [f"tests/integration/test_cli_{part}.py" for part in ("export", "start")]
    # A database on a server for each test takes long, too: the store's own tests try the lowest driver.
    chosen = ("-m", "not long", "-k", "not postgresql or test_store", *core, *plugins, *command)
    session.run("pytest", "--no-cov", "-q", *SIDE_BY_SIDE, *chosen, *session.posargs)


@nox.session
def proxywhirl(session: nox.Session) -> None:
    """Back up and restore pools that the real ProxyWhirl makes, and let it load what came back."""
    sync(session)
    theirs = pathlib.Path(session.create_tmp()).resolve() / "proxywhirl"
    session.run_install("uv", "venv", "--quiet", "--clear", f"--python={sys.executable}", f"{theirs}")
    session.run_install("uv", "pip", "install", "--quiet", f"--python={theirs}", "proxywhirl==0.3.3")
    python = str(theirs / "bin" / "python")
    session.run("pytest", "tests/proxywhirl", "--no-cov", *session.posargs, env={"PROXYWHIRL_PYTHON": python})
    # The page for applications that have both in one process.
    editable = [argument for path in DISTRIBUTIONS for argument in ("--editable", path)]
    packages = ("pytest", "pytest-timeout", "sybil", *editable)
    session.run_install("uv", "pip", "install", "--quiet", f"--python={theirs}", *packages)
    page = "tests/docs/test_documentation.py::test_every_code_block_runs"
    # ProxyWhirl warns of itself when it is imported.
    ours = ("-o", "addopts=--import-mode=importlib", "-W", "default", page, *session.posargs)
    session.run(python, "-m", "pytest", *ours, env={"DOCS_SESSION": "proxywhirl"}, external=True)


@nox.session
def spreadsheets(session: nox.Session) -> None:
    """Let everybody who reads workbooks read ours: LibreOffice, openpyxl, pandas, calamine; validate the XML."""
    sync(session, "--group=spreadsheets")
    session.run("pytest", "tests/spreadsheets", "--no-cov", *session.posargs)


@nox.session
def reports(session: nox.Session) -> None:
    """Look at documents as people do: pages drawn by poppler beside kept pictures, HTML in Chromium."""
    sync(session)
    session.run("pytest", "tests/reports", "--no-cov", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, with the coverage gate."""
    sync(session)
    pytest = ("pytest", *SIDE_BY_SIDE, "-m", "not long", "--cov", "--cov-report=term")
    session.run(*pytest, *session.posargs, env={"COVERAGE_CORE": "ctrace"})


@nox.session
def trials(session: nox.Session) -> None:
    """Run the further cases that continuous integration leaves out: other databases, zones, seeds and sizes."""
    sync(session)
    session.run("pytest", *SIDE_BY_SIDE, "-m", "long", "--no-cov", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and memory against peers, side by side; takes a while. ``-- --quick`` for a small run."""
    sync(session, "--group=bench")
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    session.run("python", "tests/bench/run.py", *session.posargs)


@nox.session
def bench_excel(session: nox.Session) -> None:
    """Measure workbooks against other writers of them, side by side. ``-- --quick`` for a small run."""
    sync(session, "--group=bench_excel")
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    session.run("python", "tests/bench/excel.py", *session.posargs)


@nox.session
def bench_reports(session: nox.Session) -> None:
    """Measure PDF tables and whole reports against other ways to make them. ``-- --quick`` for a small run."""
    sync(session, "--group=bench_reports")
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    # Each says by 1 that a goal was missed; the other is to be measured all the same.
    for name in ("pdf", "report"):
        session.run("python", f"tests/bench/{name}.py", *session.posargs, success_codes=(0, 1))


@nox.session
def bench_pools(session: nox.Session) -> None:
    """Measure sealing, the redaction proof, dialects and restoring pools against peers, side by side."""
    sync(session, "--group=bench")
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    # Each says by 1 that a goal was missed; the others are to be measured all the same.
    for name in ("vault", "redaction", "dialects", "pools"):
        session.run("python", f"tests/bench/{name}.py", *session.posargs, success_codes=(0, 1))


@nox.session
def bench_jobs(session: nox.Session) -> None:
    """Measure background work in stores with up to a million finished jobs. ``-- --quick`` for a small run."""
    sync(session)
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    session.run("python", "tests/bench/jobs.py", *session.posargs)


@nox.session
def bench_schedules(session: nox.Session) -> None:
    """Measure whether schedules are kept to the second, and what that costs. ``-- --quick`` for a small run."""
    sync(session)
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    session.run("python", "tests/bench/schedules.py", *session.posargs)


@nox.session
def bench_host(session: nox.Session) -> None:
    """Measure what exports cost a program that answers requests meanwhile. ``-- --quick`` for a small run."""
    sync(session)
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    session.run("python", "tests/bench/host.py", *session.posargs)


@nox.session
def bench_webhooks(session: nox.Session) -> None:
    """Measure delivering a thousand webhooks beside a bare httpx loop. ``-- --quick`` for fewer rounds."""
    sync(session)
    session.run("python", "-m", "compileall", "-q", f"{session.virtualenv.location}/lib", silent=True)
    session.run("python", "tests/bench/webhooks.py", *session.posargs)
