"""The laws that every component keeps, as functions that raise `AssertionError` with the law that is broken.

Run them on your own components: `check_method(lambda backbone: Mine(backbone, strength=3))`.
"""

from deconfound.testing.augmentation import check_augmentation
from deconfound.testing.corruption import check_corruption
from deconfound.testing.dataset import check_dataset
from deconfound.testing.extractor import check_extractor
from deconfound.testing.hyperparameters import check_hyperparameters
from deconfound.testing.method import check_method
from deconfound.testing.metric import check_metric
from deconfound.testing.penalty import check_penalty
from deconfound.testing.views import check_views

__all__ = [
    "check_augmentation",
    "check_corruption",
    "check_dataset",
    "check_extractor",
    "check_hyperparameters",
    "check_method",
    "check_metric",
    "check_penalty",
    "check_views",
]
