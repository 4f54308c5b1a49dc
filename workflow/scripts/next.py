"""Adapter of rule next."""

from pathlib import Path

from process import job

from incbayes.orchestration.commands import reproducing
from incbayes.publication.next import (
    judged_once,
    lines_of,
    over_budget,
    published_steps,
    with_settings,
)
from incbayes.report.escapes import from_scripts
from incbayes.study.model import study_of

with job(snakemake, "what to run next") as console:
    params = snakemake.params
    given = from_scripts(params.settings)

    study = study_of(from_scripts(params.study))

    def command(further):
        """Return the command that publishes with further settings."""
        settings = with_settings(given, over_budget(study, further))
        return reproducing(params.files, settings, params.top, "publish")

    steps = published_steps(study, Path(params.folder))
    for line in lines_of(steps, judged_once(study), command):
        console.log(line)
        print(line)
