"""Hold the method to the laws. No dataset and no installation is needed.

Run it with: python examples/own_method/check.py
"""

from noise_augmentation import NoiseAugmentation

from deconfound import Task
from deconfound.testing import check_hyperparameters, check_method

classes = Task.classification(("a", "b", "c"))
check_method(NoiseAugmentation, other_views=True)  # its loss predicts noisy rows
check_method(lambda backbone: NoiseAugmentation(backbone, strength=2.0), task=classes, other_views=True)
check_hyperparameters("methods", NoiseAugmentation)
print("noise-augmentation keeps all laws")
