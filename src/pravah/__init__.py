"""Pravah: a pipeline of steps over millions of files, as one durable job.

This module stays empty of imports: `pravah --version` answers before anything is loaded.
"""

__version__ = "0.1.0"
