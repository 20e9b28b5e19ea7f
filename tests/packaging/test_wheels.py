import email
import tarfile
import zipfile
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

FIRST_PARTY = {
    "tailrace-core": "tailrace",
    "tailrace-format-csv": "tailrace_format_csv",
    "tailrace-format-excel": "tailrace_format_excel",
    "tailrace-format-html": "tailrace_format_html",
    "tailrace-format-json": "tailrace_format_json",
    "tailrace-format-pdf": "tailrace_format_pdf",
    "tailrace-sdk": "tailrace_sdk",
    "tailrace-sink-disk": "tailrace_sink_disk",
    "tailrace-sink-email": "tailrace_sink_email",
    "tailrace-sink-webhook": "tailrace_sink_webhook",
    "tailrace-source-analytics": "tailrace_source_analytics",
    "tailrace-source-dashboard": "tailrace_source_dashboard",
    "tailrace-source-health": "tailrace_source_health",
    "tailrace-source-pool": "tailrace_source_pool",
}
ENTRY_POINTS = {
    "tailrace-format-csv": "[tailrace.formats]\ncsv = tailrace_format_csv\n",
    "tailrace-format-excel": "[tailrace.formats]\nexcel = tailrace_format_excel\n",
    "tailrace-format-html": "[tailrace.formats]\nhtml = tailrace_format_html\n",
    "tailrace-format-json": "[tailrace.formats]\njson = tailrace_format_json\n",
    "tailrace-format-pdf": "[tailrace.formats]\npdf = tailrace_format_pdf\n",
    "tailrace-sink-disk": "[tailrace.sinks]\ndisk = tailrace_sink_disk\n",
    "tailrace-sink-email": "[tailrace.sinks]\nemail = tailrace_sink_email\n",
    "tailrace-sink-webhook": "[tailrace.sinks]\nwebhook = tailrace_sink_webhook\n",
    "tailrace-source-analytics": "[tailrace.sources]\nanalytics = tailrace_source_analytics\n",
    "tailrace-source-dashboard": "[tailrace.sources]\ndashboard = tailrace_source_dashboard\n",
    "tailrace-source-health": "[tailrace.sources]\nhealth = tailrace_source_health\n",
    "tailrace-source-pool": "[tailrace.sources]\npool = tailrace_source_pool\n",
}
VERSION = "0.1.0"
ROOT = Path(__file__).resolve().parents[2]


def wheel_of(dist: Path, name: str) -> zipfile.ZipFile:
    (path,) = dist.glob(f"{name.replace('-', '_')}-{VERSION}-py3-none-any.whl")
    return zipfile.ZipFile(path)


def metadata_of(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_the_root_wheel_holds_no_code_and_requires_core_and_every_plugin(dist: Path) -> None:
    with wheel_of(dist, "tailrace") as wheel:
        assert {name.partition("/")[0] for name in wheel.namelist()} == {f"tailrace-{VERSION}.dist-info"}
        required = {Requirement(text).name for text in metadata_of(wheel).get_all("Requires-Dist", [])}
    assert required == set(FIRST_PARTY) - {"tailrace-sdk"}


@pytest.mark.parametrize(("name", "package"), FIRST_PARTY.items())
def test_a_wheel_holds_its_package_and_nothing_else(dist: Path, name: str, package: str) -> None:
    with wheel_of(dist, name) as wheel:
        names = wheel.namelist()
        tops = {entry.partition("/")[0] for entry in names}
        assert tops == {package, f"{name.replace('-', '_')}-{VERSION}.dist-info"}
        assert f"{package}/py.typed" in names
        assert any(entry.endswith(".dist-info/licenses/LICENSE") for entry in names)
        parts = {part for entry in names for part in entry.split("/")}
        assert not [part for part in parts if part.startswith("test") or part.endswith((".pyc", ".db"))]


@pytest.mark.parametrize("name", [*FIRST_PARTY, "tailrace"])
def test_metadata_is_complete_and_internal_requirements_admit_this_version_only_within_its_series(
    dist: Path, name: str
) -> None:
    with wheel_of(dist, name) as wheel:
        metadata = metadata_of(wheel)
    assert metadata["Version"] == VERSION
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Summary"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    for text in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        assert str(requirement.specifier), f"{text} has no range"
        if requirement.name in FIRST_PARTY:
            assert requirement.specifier.contains(VERSION)
            assert not requirement.specifier.contains("0.2.0")


@pytest.mark.parametrize(("name", "declared"), ENTRY_POINTS.items())
def test_a_plugin_declares_its_entry_point(dist: Path, name: str, declared: str) -> None:
    with wheel_of(dist, name) as wheel:
        (path,) = (entry for entry in wheel.namelist() if entry.endswith("entry_points.txt"))
        assert wheel.read(path).decode().strip() + "\n" == declared


@pytest.mark.parametrize("name", [*FIRST_PARTY, "tailrace"])
def test_a_source_distribution_holds_what_is_needed_and_no_more(dist: Path, name: str) -> None:
    (path,) = dist.glob(f"{name.replace('-', '_')}-{VERSION}.tar.gz")
    with tarfile.open(path) as archive:
        tops = {member.name.split("/")[1] for member in archive.getmembers() if "/" in member.name}
    expected = {"README.md", "LICENSE", "PKG-INFO", "pyproject.toml"}
    expected |= {"CHANGELOG.md"} if name == "tailrace" else {"src"}
    assert tops - {".gitignore"} == expected


def test_the_sdk_ships_kit_fakes_servers_and_projects(dist: Path) -> None:
    there = {
        str(path.relative_to(ROOT / "sdk" / "src"))
        for path in (ROOT / "sdk" / "src" / "tailrace_sdk").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    kinds = ("formats", "sinks", "sources")
    needed = {f"tailrace_sdk/conformance/{kind}/__init__.py" for kind in kinds}
    needed |= {f"tailrace_sdk/{part}" for part in ("fakes.py", "faults.py", "servers/smtp.py", "servers/webhook.py")}
    needed |= {f"tailrace_sdk/scaffold/templates/{kind[:-1]}/plugin.py.template" for kind in kinds}
    assert needed <= there
    with wheel_of(dist, "tailrace-sdk") as wheel:
        assert {name for name in wheel.namelist() if name.startswith("tailrace_sdk/")} == there
    (path,) = dist.glob(f"tailrace_sdk-{VERSION}.tar.gz")
    with tarfile.open(path) as archive:
        files = {member.name.partition("/src/")[2] for member in archive.getmembers() if "/src/" in member.name}
    assert files == there
