"""The final evaluation of a run: model and baselines, on the test and validation targets."""

import jax

from jaxrec.config.experiment import Config
from jaxrec.data.dataset import Dataset
from jaxrec.evaluation.baselines import make_baselines
from jaxrec.evaluation.metrics import PredictionFigures
from jaxrec.evaluation.predictions import label_baselines, model_predictor, prediction_figures
from jaxrec.evaluation.ranking import Ranking, Scorer, mask_moment, model_scorer, rank
from jaxrec.evaluation.slices import slices
from jaxrec.runs.directory import CURVE, RunDirectory
from jaxrec.runs.ranks import Ranks
from jaxrec.runs.report import draw_curve, figures_of, protocol, training_figures
from jaxrec.runs.summary import Figures, ModelFacts, Summary
from jaxrec.schema import HeadSpec
from jaxrec.training.loop import Trained, folded


def evaluate_and_save(
    trained: Trained,
    dataset: Dataset,
    config: Config,
    directory: RunDirectory,
    *,
    unit: str = "epoch",
) -> Summary:
    """Evaluate the best parameters and the baselines, and write the files of a finished run.

    Args:
        unit: label of an epoch in the plot.
    """
    size, split = dataset.vocabulary.size, dataset.split
    of_test, of_validation = slices(dataset, split.test), slices(dataset, split.validation)

    def tested(scorer: Scorer) -> Ranking:
        return rank(scorer, dataset, split.test, config.data)

    def validated(scorer: Scorer) -> Figures:
        ranking = rank(scorer, dataset, split.validation, config.data)
        return figures_of(ranking, size, of_validation)

    def predicted(head: HeadSpec) -> dict[str, PredictionFigures]:
        predictors = {config.model.encoder: model_predictor(*shipped, head.name)}
        predictors |= label_baselines(dataset, head)
        return {
            name: prediction_figures(each, dataset, head, config.data.history_length)
            for name, each in predictors.items()
        }

    baselines, missing_reason = make_baselines(dataset, config.data.split)
    if missing_reason:
        print(missing_reason)
    shipped = folded(trained.graphdef, trained.params, dataset.item_features)
    scorer = model_scorer(*shipped)
    test = tested(scorer)
    without_moment = None
    if config.data.knows_target_time:
        without_moment = tested(mask_moment(scorer, dataset.timelines.moments))
    summary = Summary(
        protocol(config, dataset, test, of_test),
        test=figures_of(test, size, of_test),
        validation=validated(scorer),
        baselines={
            name: figures_of(tested(each), size, of_test) for name, each in baselines.items()
        },
        train=training_figures(trained.epochs, trained.progress.best_epoch),
        model=ModelFacts(
            config.model.encoder, sum(leaf.size for leaf in jax.tree.leaves(shipped[1]))
        ),
        heads={head.name: predicted(head) for head in dataset.heads},
        without_target_time=without_moment and figures_of(without_moment, size, of_test),
    )
    levels = {name: validated(each).means["recall@10"] for name, each in baselines.items()}
    draw_curve(directory.path / CURVE, directory.path.name, trained.epochs, levels, unit)
    targets, unknown = dataset.timelines.items[split.test], without_moment and without_moment.ranks
    directory.finish(summary, Ranks(test.users, targets, test.ranks, unknown, of_test))
    return summary
