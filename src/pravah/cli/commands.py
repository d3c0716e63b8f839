"""The table of commands, one line each, and the help that needs nothing but this table."""

from __future__ import annotations

SUMMARY = "Run a pipeline of steps over every file of a directory, as a durable job."

COMMANDS = {
    "run": ("pravah.cli.run:run", "Create a job and work on it here until it ends."),
    "plan": ("pravah.cli.plan:plan", "Show what a job would do; writes nothing."),
    "scan": ("pravah.cli.scan:scan", "List the files below directories."),
    "diff": ("pravah.cli.diff:diff", "Compare two directory trees or prefixes."),
    "jobs": ("pravah.cli.jobs:COMMANDS", "Create, follow, inspect and steer jobs."),
    "why": ("pravah.cli.story:why", "Tell what became of a file, job by job."),
    "which": ("pravah.cli.story:which", "Tell which job made an output, and what of."),
    "processors": ("pravah.cli.processors:COMMANDS", "Show what steps can be made of."),
    "serve": ("pravah.cli.serve:serve", "Serve the REST API, with workers beside it."),
    "worker": ("pravah.cli.worker:worker", "Work on the ledger's jobs, whoever created them."),
    "workers": ("pravah.cli.workers:COMMANDS", "Show who works on the ledger's jobs."),
    "keys": ("pravah.cli.keys:COMMANDS", "Make, list and revoke keys of the API."),
    "db": ("pravah.cli.db:COMMANDS", "Look after the ledger's database."),
    "doctor": ("pravah.cli.doctor:doctor", "Check what Pravah needs of this machine."),
    "config": ("pravah.cli.config:COMMANDS", "Show the settings and where they come from."),
    "demo": ("pravah.cli.demo:demo", "Run, kill and resume a job over a made data set."),
}

OPTIONS = {
    "--version": "Print the version.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Show completion for the current shell.",
    "-h, --help": "Show this message and exit.",
}

EXAMPLES = (
    "pravah run data/ --to out/ -s compress",
    "pravah run data/ -s checksum:sha256 > checksums.ndjson",
    "pravah jobs list",
)


def root_help() -> str:
    """Write `pravah --help`; loading the parser for it would take four times as long."""
    blocks = [
        "Usage: pravah [OPTIONS] COMMAND [ARGS]...",
        f"  {SUMMARY}",
        _section("Commands", {name: summary for name, (_, summary) in COMMANDS.items()}),
        _section("Options", OPTIONS),
        "Examples:\n" + "\n".join(f"  {example}" for example in EXAMPLES),
    ]
    return "\n\n".join(blocks) + "\n"


def _section(title: str, rows: dict[str, str]) -> str:
    longest = max(map(len, rows))
    return f"{title}:\n" + "\n".join(f"  {name:{longest}}  {text}" for name, text in rows.items())
