"""The search for settings that a study uses, as tables: all that was tried, and what was chosen.

Knows the resolved form of a study; the scores are those of its `tuned`, on validation images.
"""

from incbayes.figures.context import FigureContext
from incbayes.kinds import METRICS
from incbayes.report.methods import settings
from incbayes.report.tables import Table, number
from incbayes.results.tuning import candidate_rows
from incbayes.study.chains import chosen_experiments
from incbayes.study.model import Outcome, Study, TriedCandidate
from incbayes.study.model.search import Metric
from incbayes.study.tuning import SCORES, mean_score, tried_by_method

CHOSEN = "chosen"


def search_tables(study: Study, context: FigureContext) -> list[Table]:
    """Return a table of candidates for each experiment of the search that the study uses."""
    outcome = study.tuned
    if outcome is None:
        return []
    searched = dict.fromkeys(candidate.experiment for candidate in outcome.candidates)
    return [_search_table(outcome, experiment, context) for experiment in searched]


def unsearched(study: Study, context: FigureContext) -> list[str]:
    """Return, for each experiment that is run, which methods no search chose the settings of."""
    searched = tried_by_method(study)
    left = {
        experiment: [m for m in described.methods if (experiment, m) not in searched]
        for experiment, described in chosen_experiments(study).items()
    }
    return [
        f"{context.experiments[experiment]}: {'; '.join(context.methods[m] for m in methods)}"
        for experiment, methods in left.items()
        if methods
    ]


def _search_table(outcome: Outcome, experiment: str, context: FigureContext) -> Table:
    """Return the candidates of an experiment, one a row, in the order of the search."""
    found = [c for c in outcome.candidates if c.experiment == experiment]
    counts = [score.T for score in found[0].scores]
    decides = METRICS[outcome.metric].heading
    frame = candidate_rows(outcome)
    return Table(
        caption=(
            f"{context.experiments[experiment]}: candidates and their scores on validation images "
            f"after the last of T stages, means over {outcome.replicates} replicate(s). "
            f"{decides}, mean over T, decides."
        ),
        headings=[
            "Method",
            "Settings",
            "Choice",
            *(f"T = {T}: {METRICS[metric].heading}" for T in counts for metric in SCORES),
            f"Mean over T: {decides}",
        ],
        rows=[_row(candidate, outcome.metric, context) for candidate in found],
        keys=3,
        frame=frame[frame["experiment"] == experiment],
        name=f"candidates_{experiment}",
    )


def _row(candidate: TriedCandidate, metric: Metric, context: FigureContext) -> list[str]:
    scores = [(name, score.of(name)) for score in candidate.scores for name in SCORES]
    scores.append((metric, mean_score(candidate.scores, metric)))
    return [
        context.methods[candidate.method],
        settings(candidate.settings),
        CHOSEN if candidate.chosen else "–",
        *(number(value * METRICS[name].factor, METRICS[name].decimals) for name, value in scores),
    ]
