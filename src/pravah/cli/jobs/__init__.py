"""`pravah jobs`: create, follow, inspect and steer jobs. One module per group of verbs."""

COMMANDS = {
    "create": ("pravah.cli.jobs.create:create", "Create a job for a worker to take."),
    "list": ("pravah.cli.jobs.show:list_jobs", "List jobs, the latest first."),
    "show": ("pravah.cli.jobs.show:show", "Show a job's status and books."),
    "watch": ("pravah.cli.jobs.watch:watch", "Follow a job until it stops."),
    "files": ("pravah.cli.jobs.files:files", "List what became of each file."),
    "failures": ("pravah.cli.jobs.files:failures", "List the failures, grouped by cause."),
    "results": (
        "pravah.cli.jobs.results:results",
        "Print what inspect steps found, or write it to a file.",
    ),
    "report": ("pravah.cli.jobs.report:report", "Print a job's report, or write it to a file."),
    "logs": ("pravah.cli.jobs.logs:logs", "Print what happened to a job, in order."),
    "cancel": ("pravah.cli.jobs.steer:cancel", "Give a job up; what is done stays."),
    "pause": ("pravah.cli.jobs.steer:pause", "Stop a job so that it can go on later."),
    "resume": ("pravah.cli.jobs.steer:resume", "Go on with a job here."),
    "retry": ("pravah.cli.jobs.steer:retry", "Try a job's failed files again here."),
    "set": ("pravah.cli.jobs.steer:set_live", "Change limits of a job that is worked on."),
    "undo": ("pravah.cli.jobs.undo:undo", "Take back the outputs that a job created."),
    "delete": ("pravah.cli.jobs.steer:delete", "Remove an ended job from the ledger."),
}
