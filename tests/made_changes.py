"""Made records of outliers and of shifted test images, for `made_studies`."""


def certainty(error: float, over: float, several_draws: bool) -> dict[str, float]:
    """Return the metrics of how certain test images are predicted, which have such an error."""
    values = {
        f"accuracy_at_{percent}": 1 - error * (percent / 100) ** over
        for percent in (50, 60, 70, 80, 90)
    }
    values |= {"aurc": error / over, "entropy": 2 * error}
    return values | ({"mutual_information": 0.4 * error} if several_draws else {})


def outlier_records(stage: dict, skill: float, budget: str) -> list[dict]:
    """Return the records of two outlier sets, of the predictive mean."""
    said = {**stage, "predictor": "predictive", "budget": budget}
    measures = ["entropy"] + ["information"] * (stage["family"] != "point")
    rows = []
    for place, name in enumerate(("rotated", "fashion_mnist")):
        for measure in measures:
            auroc = skill - 0.1 * place - 0.02 * (measure == "entropy")
            mean = "entropy" if measure == "entropy" else "mutual_information"
            values = {f"auroc_{measure}": auroc, f"fpr95_{measure}": 1 - auroc, mean: auroc}
            rows += [
                {**said, "split": f"outliers_{name}", "metric": metric, "value": value}
                for metric, value in values.items()
            ]
    return rows


def shift_records(stage: dict, skill: float, budget: str) -> list[dict]:
    """Return the records of two shifts at their levels, of the predictive mean."""
    if stage["t"] != stage["T"]:
        return []
    said = {**stage, "predictor": "predictive", "budget": budget}
    rows = []
    for name, levels in (("rotation", range(30, 181, 30)), ("gaussian_noise", range(1, 6))):
        for level in levels:
            accuracy = skill * (1 - 0.8 * level / levels[-1])
            rows += [
                {**said, "split": f"shift_{name}_{level}", "metric": metric, "value": value}
                for metric, value in (("accuracy", accuracy), ("nll", 3 * (1 - accuracy)))
            ]
    return rows
