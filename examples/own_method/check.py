"""Hold the method to the laws. No dataset and no installation is needed.

Run it with: python examples/own_method/check.py
"""

from noise_augmentation import NoiseAugmentation

from deconfound import Task
from deconfound.testing import check_method

check_method(NoiseAugmentation)
check_method(lambda backbone: NoiseAugmentation(backbone, strength=2.0), task=Task.classification(("a", "b", "c")))
print("noise-augmentation keeps all laws")
