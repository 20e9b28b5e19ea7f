"""Reading workbooks, whoever wrote them: checked as archives, and read in a process of its own.

What hands the sheets over is ``fastexcel``, which believes what a file says. So it never sees the file: it gets an
archive made anew of the few members that were checked, in a process with limits.
"""

from tailrace_format_excel.reading.tables import read_tables as read_tables
from tailrace_format_excel.reading.tables import recognises as recognises
