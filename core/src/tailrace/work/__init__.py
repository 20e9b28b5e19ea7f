"""Work in the background: jobs and who carries them out, templates, who may do what, the audit trail, retention."""
