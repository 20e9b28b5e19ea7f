"""What a workbook can hold, by the specification of Excel."""

MAX_ROWS = 1_048_576
"""Rows of a sheet, the header included."""
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767
"""Characters of a cell, counted as Excel counts them: in units of UTF-16."""
MAX_DIGITS = 15
"""Significant digits of a number that Excel keeps."""
MAX_SHEET_NAME = 31
MAX_SHEETS = 1_000
"""Sheets of one file: Excel has no limit but memory, and a file of more is of no use to anybody."""
