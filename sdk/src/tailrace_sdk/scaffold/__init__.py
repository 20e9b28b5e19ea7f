"""A project for a new plugin: complete, working, and tested by the conformance kit before its author changes a line.

``tailrace plugins new KIND NAME`` calls :func:`make_project`; what it writes are the files below ``templates``, where
``<<word>>`` stands for what :mod:`tailrace_sdk.scaffold.naming` makes of the kind and the name.
"""

from tailrace_sdk.scaffold.naming import KINDS as KINDS
from tailrace_sdk.scaffold.naming import PluginName as PluginName
from tailrace_sdk.scaffold.project import Project as Project
from tailrace_sdk.scaffold.project import make_project as make_project
from tailrace_sdk.scaffold.project import new_project as new_project
