"""`boosted-trees`: histogram gradient boosting of scikit-learn on the pooled features of all modalities."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import Field

from deconfound.compose import FittedMethod
from deconfound.nn.backbone import Backbone
from deconfound.nn.shallow.trees import Boosting, TreesModel
from deconfound.search import Search


class BoostedTrees(FittedMethod):
    """The control that needs no scaling. Fitted at once, on the features of `linear`.

    The number of iterations is that with the lowest validation risk. The trees are stored as numbers, never as a pickle.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        iterations: Annotated[int, Field(ge=1, le=10_000, description="most trees per output")] = 100,
        learning_rate: Annotated[
            float, Field(gt=0, le=1, description="share of each tree that is added"), Search(0.02, 0.3, log=True)
        ] = 0.1,
        leaves: Annotated[int, Field(ge=2, le=1024, description="most leaves of a tree"), Search(4, 64, log=True)] = 31,
        leaf_rows: Annotated[
            int, Field(ge=1, lt=2**31, description="fewest training rows in a leaf"), Search(2, 50, log=True)
        ] = 20,
    ) -> None:
        boosting = Boosting(iterations, learning_rate, leaves, leaf_rows)
        super().__init__(backbone, partial(TreesModel, boosting=boosting))
