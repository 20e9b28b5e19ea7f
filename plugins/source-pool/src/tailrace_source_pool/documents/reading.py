"""Reading pool files for import: looked through, told apart, and parsed where they cannot hurt."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import polars as pl

from tailrace import CredentialMode, Limits, PoolFile, Problem, ReadPoolCall, run_apart
from tailrace_source_pool import fernet
from tailrace_source_pool.dialects.inference import infer_dialect, scheme_of_name
from tailrace_source_pool.dialects.names import known_dialect, known_scheme
from tailrace_source_pool.dialects.reading import read_lines
from tailrace_source_pool.documents import workbook
from tailrace_source_pool.documents.apart import READERS
from tailrace_source_pool.documents.content import BLOCK, ForeignFile, Seen, opened
from tailrace_source_pool.documents.findings import PROBLEMS_LISTED, Problems, Summary, gathered
from tailrace_source_pool.documents.manifest import layout
from tailrace_source_pool.documents.rules import SEALED, TYPES
from tailrace_source_pool.documents.sidecar import Sidecar, read_sidecar
from tailrace_source_pool.targets import token_stream

SMALL = 10 << 20
"""Bytes of a file up to which the least limits hold; a larger one may cost more in proportion."""
LEAST = Limits()
MOST_MEMORY = 1 << 30
LARGEST_LIST = 256 << 20
"""Bytes of the largest file of lines that is read, in this process."""

_REFERENCE = r"^ref_[a-z2-7]{26}$"
_NO_PROXIES = pl.DataFrame(
    schema={name: TYPES[name] for name in ("url", "protocol", "host", "port", "username", "password")}
    | {"place": pl.String()}
)


def read_pool(call: ReadPoolCall) -> PoolFile:
    """Read a file; every problem in it, not only the first.

    Raises:
        SourceError: It is not there, or cannot be read at all.
        RequestError: An unknown dialect, or one that needs a template.
        NewerVersionError: It is an export of a newer Tailrace.
        ConfigurationError: ProxyWhirl has encrypted it, and the key or package for that is not at hand.
        WrongKeyError: ProxyWhirl has encrypted it with another key.
        RefusedError: Reading it cost more than a file of its size should.
    """
    with opened(call.path, call.context.check) as file:
        seen = file.look_through()
        if seen.is_zip and call.read_tables is not None and call.dialect in {None, workbook.DIALECT}:
            return _read_workbook(file, seen, call)
        if call.dialect == workbook.DIALECT:
            return _refused(workbook.DIALECT, seen, Problem("file", seen.refusal or "it is no workbook"))
        if seen.refusal is not None:
            found = _read_by_another(file, seen, call)
            return found or _refused(call.dialect or "unknown", seen, Problem("file", seen.refusal))
        if seen.is_encrypted:
            return _read_encrypted(file, seen, call)
        return _read(file.blocks(seen.digest), seen, call)


def _read_encrypted(file: ForeignFile, seen: Seen, call: ReadPoolCall) -> PoolFile:
    if seen.is_compressed:
        clear = fernet.decrypt_file(b"".join(file.blocks(seen.digest))).decode(errors="replace")
    else:
        clear = token_stream.decrypted(call.path)
        # What was decrypted is what was looked through.
        deque(file.blocks(seen.digest), maxlen=0)
        file.check_place()
    inside = attrs.evolve(seen, size=len(clear), head=clear[:BLOCK].encode())
    found = _read(_in_blocks(clear), inside, call)
    return attrs.evolve(found, notes=("ProxyWhirl had encrypted the file as a whole.", *found.notes))


def _read(blocks: Iterable[bytes], seen: Seen, call: ReadPoolCall) -> PoolFile:
    dialect = known_dialect(call.dialect) if call.dialect else infer_dialect(seen.head, call.path.name)
    if dialect not in READERS:
        return _read_lines(blocks, seen, call, dialect)
    sidecar, problems = _described(call, seen)
    if problems and dialect == "csv":
        # Its spelling comes from the manifest: nothing would be as it was meant.
        return _refused(dialect, seen, *problems)
    frame, summary = _parsed(blocks, seen.size, call, {"dialect": dialect, **_by_manifest(dialect, sidecar)})
    found = _of_table(frame, sidecar, seen) if dialect == "csv" else _of_document(frame, summary, seen)
    return _pool_file(dialect, frame, [*problems, *found.problems], summary, found, seen)


def _read_workbook(file: ForeignFile, seen: Seen, call: ReadPoolCall) -> PoolFile:
    """Read a file whose tables a format reads."""
    sidecar, problems = _described(call, seen)
    if problems:
        return _refused(workbook.DIALECT, seen, *problems)
    table = workbook.pool_table(call, seen.head)
    # It was opened by its name once more.
    file.check_unchanged(seen.digest)
    if table is None:
        kind = "sheet" if seen.is_zip else "table"
        reason = f"no {kind} begins with the names of columns: ip or host and port, or proxy or url"
        return _refused(workbook.DIALECT, seen, Problem("file", reason))
    blocks = list(workbook.as_csv(table.frame))
    argument = {"dialect": workbook.DIALECT, "is_ours": sidecar is not None, "spelling": dict(workbook.SPELLING)}
    frame, summary = _parsed(blocks, sum(map(len, blocks)), call, argument)
    summary.notes += table.notes
    found = _of_table(frame, sidecar, seen)
    return _pool_file(workbook.DIALECT, frame, found.problems, summary, found, seen)


def _read_by_another(file: ForeignFile, seen: Seen, call: ReadPoolCall) -> PoolFile | None:
    """What is no text is perhaps a file of tables of some format that is installed; None where none reads it."""
    if call.read_tables is None or call.dialect is not None or seen.is_compressed:
        return None
    tables = call.read_tables(call.path, seen.head, call.context)
    if tables is None:
        return None
    known = attrs.evolve(call, read_tables=lambda _path, _head, _context: tables)
    return attrs.evolve(_read_workbook(file, seen, known), dialect=workbook.TABLES)


def _described(call: ReadPoolCall, seen: Seen) -> tuple[Sidecar | None, list[Problem]]:
    """The manifest beside the file, and what is wrong with it or with the file that it describes."""
    sidecar, problems = read_sidecar(call.path)
    return sidecar, [*problems, *(sidecar.problems(seen) if sidecar is not None else ())]


def _parsed(
    blocks: Iterable[bytes], size: int, call: ReadPoolCall, argument: Mapping[str, Any]
) -> tuple[pl.DataFrame, Summary]:
    """What is in a document, read in a process of its own."""
    pieces = run_apart(
        "tailrace_source_pool.documents.apart:read",
        blocks,
        argument={"scheme": scheme_of(call), **argument},
        limits=limits_for(size),
        context=call.context,
        what=f"Reading {call.path}",
    )
    return gathered(pieces)


def scheme_of(call: ReadPoolCall) -> str:
    """Protocol of proxies that name none: as asked for, as the file's name says, or http.

    Raises:
        UnknownNameError: There is no such protocol.
    """
    return known_scheme(call.scheme or scheme_of_name(call.path.name))


def limits_for(size: int) -> Limits:
    """What reading so many bytes may cost."""
    beyond = max(0, size - SMALL)
    return Limits(
        memory=min(LEAST.memory + beyond, MOST_MEMORY), seconds=LEAST.seconds * max(1.0, size / SMALL), output=1 << 30
    )


@attrs.frozen
class _Found:
    """What manifest and seal say."""

    problems: tuple[Problem, ...] = ()
    manifest: Mapping[str, Any] | None = None
    credentials: CredentialMode | None = None
    seal: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def _by_manifest(dialect: str, sidecar: Sidecar | None) -> dict[str, Any]:
    if sidecar is None:
        return {}
    if dialect == "csv":
        return {"is_ours": True, "spelling": sidecar.spelling()}
    return {"whole_as_text": sidecar.whole_as_text}


def _of_document(frame: pl.DataFrame, summary: Summary, seen: Seen) -> _Found:
    if summary.manifest is None:
        return _without_manifest(frame, "it holds sealed values, and its manifest is not in it")
    mode = layout(summary.manifest).credentials
    given = summary.seal
    if given is None or given["sha256"] == seen.before_seal:
        return _Found((), summary.manifest, mode, given, ("It is an export of Tailrace.",))
    changed = Problem("$.seal.sha256", "the content was changed: it is not what was sealed")
    return _Found((changed,), summary.manifest, mode)


def _of_table(frame: pl.DataFrame, sidecar: Sidecar | None, seen: Seen) -> _Found:
    if sidecar is None:
        reason = "it holds sealed values, and its manifest, <name>.manifest.json, is not beside it"
        return _without_manifest(frame, reason)
    mode = sidecar.layout.credentials
    notes = ("It is an export of Tailrace.",)
    if mode is not CredentialMode.FULL:
        return _Found((), sidecar.content, mode, None, notes)
    seal = sidecar.seal
    problems = []
    if not isinstance(sidecar.content.get("vault"), dict):
        problems.append(Problem(f"{sidecar.name}, $.vault", "it is missing"))
    if seal is None:
        problems.append(Problem(f"{sidecar.name}, $.seal", "it is missing, or no seal"))
    elif seal["sha256"] != seen.plain_digest:
        problems.append(Problem(f"{sidecar.name}, $.seal.sha256", "the content was changed: it is not what was sealed"))
        seal = None
    return _Found(tuple(problems), sidecar.content, mode, seal, notes)


def _without_manifest(frame: pl.DataFrame, reason: str) -> _Found:
    """What the proxies themselves say about their credentials."""
    texts = frame.select(pl.col(pl.String)).get_columns()
    if any(column.str.starts_with(SEALED).any() for column in texts):
        return _Found((Problem("file", reason),))
    logins = [column for column in texts if column.name in {"username", "password"}]
    if any(column.str.contains(_REFERENCE).any() for column in logins):
        note = "User names and passwords are ids as credential mode 'reference' writes them."
        return _Found(credentials=CredentialMode.REFERENCE, notes=(note,))
    return _Found()


def _pool_file(
    dialect: str, frame: pl.DataFrame, first: Iterable[Problem], summary: Summary, found: _Found, seen: Seen
) -> PoolFile:
    """Put together what is known; problems of the file as a whole come first."""
    problems = Problems()
    for problem in first:
        problems.tell(problem.where, problem.message)
    return PoolFile(
        dialect=dialect,
        frame=frame if frame.width else _NO_PROXIES,
        problems=tuple([*problems.kept, *summary.problems.kept][:PROBLEMS_LISTED]),
        problem_count=problems.count + summary.problems.count,
        digest=seen.digest,
        manifest=found.manifest,
        credentials=found.credentials,
        seal=found.seal,
        notes=(*found.notes, *summary.notes),
    )


def _refused(dialect: str, seen: Seen, *problems: Problem) -> PoolFile:
    return PoolFile(dialect, _NO_PROXIES, problems, len(problems), seen.digest)


def _read_lines(blocks: Iterable[bytes], seen: Seen, call: ReadPoolCall, dialect: str) -> PoolFile:
    """Read a file of lines, which needs no process of its own: nothing in it can be nested."""
    if seen.size > LARGEST_LIST:
        return _refused(
            dialect, seen, Problem("file", f"it has more than {LARGEST_LIST:,} bytes: split it into several")
        )
    content = b"".join(blocks)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _refused(dialect, seen, Problem(f"line {line}", "it is not UTF-8"))
    # What was only inferred does not decide on lines that can be read in two ways; a section of proxychains is one way.
    said = dialect if dialect == "proxychains" else call.dialect
    frame, problems, count = read_lines(text, dialect=said, scheme=scheme_of(call), template=call.template)
    return PoolFile(dialect, frame, tuple(problems), count, seen.digest)


def _in_blocks(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), BLOCK):
        yield text[start : start + BLOCK].encode()
