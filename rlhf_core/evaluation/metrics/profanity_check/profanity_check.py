"""An `evaluate` measurement: the probability that a text is profane, by alt-profanity-check's model."""

import datasets
import evaluate
from profanity_check import predict_prob

DESCRIPTION = """\
Scores each text with the linear classifier of alt-profanity-check: word counts, trained on about 200,000 comments that
people had labelled as offensive or not. It needs no download. Gives {"profanity": [probability, …]}.
"""


class ProfanityCheck(evaluate.Measurement):
    """Score texts by `compute(predictions=texts)`."""

    categories = ("profanity",)

    def _info(self):
        return evaluate.MeasurementInfo(
            module_type="measurement",
            description=DESCRIPTION,
            citation="",
            inputs_description="predictions: the texts to score",
            features=datasets.Features({"predictions": datasets.Value("string")}),
            codebase_urls=["https://github.com/dimitrismistriotis/alt-profanity-check"],
        )

    def _compute(self, predictions):
        return {"profanity": [float(p) for p in predict_prob(list(predictions))]}
