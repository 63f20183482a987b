"""An `evaluate` measurement: toxicity probabilities by Detoxify, one list per category of the checkpoint."""

import datasets
import evaluate
import torch
from detoxify import Detoxify

DESCRIPTION = """\
Scores each text with a Detoxify transformer (Hanu and Unitary, 2020). The configuration name is Detoxify's model type
("original" unless said otherwise); `checkpoint` is a local file to load in its place. A checkpoint is unpickled: load
only files you trust. Texts longer than the model's context are cut. Gives {category: [probability, …]}.
"""
BATCH_SIZE = 16


class DetoxifyToxicity(evaluate.Measurement):
    """Score texts by `compute(predictions=texts)`."""

    def __init__(self, *args, checkpoint=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.checkpoint = checkpoint

    def _info(self):
        return evaluate.MeasurementInfo(
            module_type="measurement",
            description=DESCRIPTION,
            citation="Laura Hanu and Unitary team. Detoxify. https://github.com/unitaryai/detoxify, 2020.",
            inputs_description="predictions: the texts to score",
            features=datasets.Features({"predictions": datasets.Value("string")}),
            codebase_urls=["https://github.com/unitaryai/detoxify"],
        )

    def _download_and_prepare(self, dl_manager):
        model_type = "original" if self.config_name == "default" else self.config_name
        self.detector = Detoxify(model_type, checkpoint=self.checkpoint)
        if self.checkpoint is not None:
            self._refuse_missing_weights(self.checkpoint)
        self.categories = tuple(self.detector.class_names)
        tokenizer, config = self.detector.tokenizer, self.detector.model.config
        tokenizer.model_max_length = min(tokenizer.model_max_length, config.max_position_embeddings - 2)

    def _refuse_missing_weights(self, checkpoint):
        """Raise when the file lacks weights of the model: transformers would fill them with noise and go on."""
        held = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
        if missing := sorted(set(self.detector.model.state_dict()).difference(held)):
            raise ValueError(f"{len(missing)} weights of the model are not in the file, the first is {missing[0]}")

    def _compute(self, predictions):
        texts = list(predictions)
        scores = {category: [] for category in self.categories}
        for start in range(0, len(texts), BATCH_SIZE):
            batch = self.detector.predict(texts[start : start + BATCH_SIZE])
            for category, values in batch.items():
                scores[category] += values if isinstance(values, list) else [values]  # one text: a bare number
        return scores
