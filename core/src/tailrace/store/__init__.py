"""What Tailrace remembers, in a database: jobs, templates, the audit trail, users, notifications."""
