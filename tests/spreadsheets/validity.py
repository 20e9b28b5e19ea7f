"""Whether a workbook is one: what ECMA-376 asks for in its parts 1 and 2, as far as our workbooks go.

Elements, their order and the values of their attributes are the task of ``openxml-audit``, which has the schemas and
the rules of Microsoft's Open XML SDK. The rest is looked at here: the archive, that every part is found,
and what cells say.
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from openxml_audit import FileFormat, OpenXmlValidator

from .readers import MAIN, PACKAGE, RELATIONS

TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
WORKSHEET = (
    *("sheetPr", "dimension", "sheetViews", "sheetFormatPr", "cols", "sheetData", "sheetCalcPr", "sheetProtection"),
    *("protectedRanges", "scenarios", "autoFilter", "sortState", "dataConsolidate", "customSheetViews", "mergeCells"),
    *("phoneticPr", "conditionalFormatting", "dataValidations", "hyperlinks", "printOptions", "pageMargins"),
    *("pageSetup", "headerFooter", "rowBreaks", "colBreaks", "customProperties", "cellWatches", "ignoredErrors"),
    *("smartTags", "drawing", "legacyDrawing", "legacyDrawingHF", "picture", "oleObjects", "controls"),
    *("webPublishItems", "tableParts", "extLst"),
)
"""CT_Worksheet: what may be in a sheet, in this order (part 1, 18.3.1.99)."""
MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
ROW = {"r", "spans", "s", "customFormat", "ht", "hidden", "customHeight", "outlineLevel", "collapsed"}
CELL = {"r", "s", "t", "cm", "vm", "ph"}
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9]\d*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BUILT_IN, _LONGEST_NAME = 164, 31
"""Number formats below the first need no definition; the other is of sheets."""


def problems(content: bytes) -> list[str]:
    """What is wrong with an archive, its parts and its sheets."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        found = [f"damaged: {name}"] if (name := archive.testzip()) else []
        parts = {name: archive.read(name) for name in names}
    if len(set(map(str.casefold, names))) != len(names):
        found.append("a part is there twice")
    trees = {}
    for name, part in parts.items():
        if b"<!DOCTYPE" in part:
            found.append(f"{name}: has a document type")
        try:
            trees[name] = ET.fromstring(part)
        except ET.ParseError as error:
            return [*found, f"{name}: not well-formed: {error}"]
    return [*found, *_types(trees), *_relationships(trees), *_workbook(trees)]


def audit(path: Path) -> list[str]:
    """What the schemas and rules of the Open XML SDK say."""
    validator = OpenXmlValidator(FileFormat.OFFICE_2019, security_validation=True, strict=True)
    return [f"{error.part_uri}: {error.description}" for error in validator.validate(path).errors]


def _types(trees: Mapping[str, ET.Element]) -> Iterator[str]:
    """Every part has a type, and every type a part (part 2, 10.1.2)."""
    types = trees["[Content_Types].xml"]
    defaults = {node.get("Extension") for node in types.iter(f"{TYPES}Default")}
    overrides = [node.get("PartName", "") for node in types.iter(f"{TYPES}Override")]
    for name in trees.keys() - {"[Content_Types].xml"}:
        is_plain = name.endswith(".rels")
        if not (is_plain and "rels" in defaults) and f"/{name}" not in overrides:
            yield f"{name}: has no type of its own"
    yield from (f"{name}: has a type and is not there" for name in overrides if name.removeprefix("/") not in trees)
    if len(set(overrides)) != len(overrides):
        yield "a part has two types"


def _targets(trees: Mapping[str, ET.Element], part: str) -> dict[str, tuple[str, str]]:
    """Where the relationships of a part lead to: their type and the name of a part, by their id."""
    folder, base = posixpath.split(part)
    tree = trees.get(posixpath.join(folder, "_rels", f"{base}.rels"))
    if tree is None:
        return {}
    return {
        node.get("Id", ""): (
            node.get("Type", "").rpartition("/")[2],
            posixpath.normpath(posixpath.join("/", folder, node.get("Target", ""))).removeprefix("/"),
        )
        for node in tree.iter(f"{PACKAGE}Relationship")
    }


def _relationships(trees: Mapping[str, ET.Element]) -> Iterator[str]:
    """Every relationship leads to a part, every part is led to, and every id is a relationship's."""
    reached, waiting = {"[Content_Types].xml"}, [""]
    while waiting:
        part = waiting.pop()
        reached |= {part, posixpath.join(posixpath.dirname(part), "_rels", f"{posixpath.basename(part)}.rels")}
        targets = _targets(trees, part)
        for identity, (_type, target) in targets.items():
            if target not in trees:
                yield f"{part}: {identity} leads to {target}, which is not there"
            elif target not in reached:
                waiting.append(target)
        if part:
            used = {value for node in trees[part].iter() for key, value in node.items() if key.startswith(RELATIONS)}
            yield from (f"{part}: {identity} is no relationship" for identity in used - targets.keys())
    yield from (f"{name}: nothing leads to it" for name in trees.keys() - reached)
    for name, tree in trees.items():
        if any(node.get("TargetMode") == "External" for node in tree.iter(f"{PACKAGE}Relationship")):
            yield f"{name}: leads outside"


def _workbook(trees: Mapping[str, ET.Element]) -> Iterator[str]:
    targets = _targets(trees, "xl/workbook.xml")
    sheets = list(trees["xl/workbook.xml"].iter(f"{MAIN}sheet"))
    names = [sheet.get("name", "") for sheet in sheets]
    for name in names:
        too_long = not 1 <= len(name.encode("utf-16-le")) // 2 <= _LONGEST_NAME
        if too_long or re.search(r"[\[\]:*?/\\]|^'|'$", name) or name.casefold() == "history":
            yield f"no name of a sheet: {name!r}"
    if len({name.casefold() for name in names}) != len(names) or len({sheet.get("sheetId") for sheet in sheets}) != len(
        names
    ):
        yield "two sheets are one"
    styles = trees["xl/styles.xml"]
    yield from _styles(styles)
    count = len(next(styles.iter(f"{MAIN}cellXfs")))
    strings = 0
    if any(kind == "sharedStrings" for kind, _target in targets.values()):
        items = trees["xl/sharedStrings.xml"]
        strings = len(items)
        yield from _strings(items)
    ranges = {
        int(node.get("localSheetId", "-1")): (node.text or "").rpartition("!")[2].replace("$", "")
        for node in trees["xl/workbook.xml"].iter(f"{MAIN}definedName")
        if node.get("name") == "_xlnm._FilterDatabase"
    }
    for index, sheet in enumerate(sheets):
        part = targets[sheet.get(f"{RELATIONS}id", "")][1]
        yield from (f"{part}: {problem}" for problem in _sheet(trees[part], count, strings, ranges.get(index)))


def _styles(styles: ET.Element) -> Iterator[str]:
    defined = {node.get("numFmtId") for node in styles.iter(f"{MAIN}numFmt")}
    sizes = {name: len(next(styles.iter(f"{MAIN}{name}s"))) for name in ("font", "fill", "border")}
    for xf in next(styles.iter(f"{MAIN}cellXfs")):
        if int(xf.get("numFmtId", "0")) >= _BUILT_IN and xf.get("numFmtId") not in defined:
            yield f"there is no number format {xf.get('numFmtId')}"
        yield from (f"there is no such {name}" for name, size in sizes.items() if int(xf.get(f"{name}Id", "0")) >= size)


def _strings(items: ET.Element) -> Iterator[str]:
    for item in items:
        nodes = list(item)
        if item.tag != f"{MAIN}si" or [node.tag for node in nodes] != [f"{MAIN}t"]:
            yield "a shared string is no plain text"
            continue
        text = nodes[0].text or ""
        if text != text.strip() and nodes[0].get(SPACE) != "preserve":
            yield f"blanks at the ends are not kept: {text[:40]!r}"
    for name in ("count", "uniqueCount"):
        if int(items.get(name, str(len(items)))) < len(items):
            yield f"{name} of shared strings is too small"


def _sheet(root: ET.Element, styles: int, strings: int, filtered: str | None) -> Iterator[str]:
    order = [node.tag.removeprefix(MAIN) for node in root]
    if [name for name in WORKSHEET if name in order] != order:
        yield f"not in order: {order}"
    columns = [(int(node.get("min", "0")), int(node.get("max", "0"))) for node in root.iter(f"{MAIN}col")]
    if any(not 1 <= first <= last <= MAX_COLUMNS for first, last in columns) or columns != sorted(columns):
        yield "columns are not in order"
    rows = width = 0
    for row in root.iter(f"{MAIN}row"):
        if row.attrib.keys() - ROW:
            yield f"a row has {row.attrib.keys() - ROW}"
        if int(row.get("r", rows + 1)) <= rows:
            yield f"row {row.get('r')} comes after row {rows}"
        rows = int(row.get("r", rows + 1))
        yield from _addresses(row, rows)
        yield from (f"row {rows}: {problem}" for cell in row for problem in _cell(cell, styles, strings))
        width = max(width, *(number(_REFERENCE.sub(r"\1", cell.get("r", ""))) for cell in row), len(row))
    yield from _extent(root, rows, width, filtered)


def _addresses(row: ET.Element, number_of_row: int) -> Iterator[str]:
    """Cells that do not say where they are follow the one before."""
    column = 0
    for cell in row:
        reference = cell.get("r", f"{letters(column + 1)}{number_of_row}")
        match = _REFERENCE.fullmatch(reference)
        if match is None or number(match[1]) <= column or int(match[2]) != number_of_row:
            yield f"row {number_of_row}: cell {reference} after column {column}"
        column = number(match[1]) if match else column + 1


def _extent(root: ET.Element, rows: int, width: int, filtered: str | None) -> Iterator[str]:
    """What a sheet says of its size."""
    last = f"{letters(width)}{rows}"
    if rows > MAX_ROWS or width > MAX_COLUMNS:
        yield f"down to {last}"
    area = root.find(f"{MAIN}autoFilter")
    # Below headers alone, it has the row where the first one would be.
    whole = f"A1:{letters(width)}{max(rows, 2)}"
    if area is not None and not area.get("ref") == filtered == whole:
        yield f"the filter is for {area.get('ref')} and {filtered}, down to {last}"
    dimension = root.find(f"{MAIN}dimension")
    if dimension is not None:
        said = _REFERENCE.fullmatch(dimension.get("ref", "").rpartition(":")[2])
        if said is None or number(said[1]) < width or int(said[2]) < rows:
            yield f"the dimension is {dimension.get('ref')}, down to {last}"


def _cell(cell: ET.Element, styles: int, strings: int) -> Iterator[str]:
    kind, value = cell.get("t", "n"), cell.findtext(f"{MAIN}v")
    inside = [node.tag.removeprefix(MAIN) for node in cell]
    if cell.tag != f"{MAIN}c" or cell.attrib.keys() - CELL:
        yield f"a cell has {cell.attrib.keys() - CELL}"
    if int(cell.get("s", "0")) >= styles:
        yield f"there is no style {cell.get('s')}"
    right = {
        "n": inside == [] or (inside == ["v"] and _NUMBER.fullmatch(value or "") is not None),
        "b": inside == ["v"] and value in {"0", "1"},
        "s": inside == ["v"] and (value or "").isdecimal() and int(value or "") < strings,
        "inlineStr": inside == ["is"],
    }
    if not right.get(kind, False):
        yield f"{kind} with {inside}, {value!r}"


def letters(column: int) -> str:
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def number(letters: str) -> int:
    total = 0
    for letter in letters:
        total = 26 * total + ord(letter) - ord("A") + 1
    return total
