"""The command line ``multiretriever``.

Modules that ``app`` imports stay light: what needs the core is imported when a command runs, so that ``--help`` is instant.
"""
