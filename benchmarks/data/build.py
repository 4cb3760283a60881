"""Every store that the benchmarks read, from one folder of corpora.

    python benchmarks/data/build.py CORPORA --out STORES

CORPORA holds `mosi/unaligned_30.pkl`, `crema-d-votes/` and `av-digits/`. A store that exists is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from av_digits import av_digits
from crema_d_votes import crema_d_votes
from mosi import mosi
from sources import arguments, write

from deconfound.data.dataset import Dataset

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def builders(corpora: Path) -> dict[str, Callable[[], Dataset]]:
    """Name of a store → what makes its dataset."""
    votes, digits = corpora / "crema-d-votes", corpora / "av-digits"
    return {
        "mosi": partial(mosi, corpora / "mosi" / "unaligned_30.pkl"),
        "crema-d-votes-actors": partial(crema_d_votes, votes, variant="actors"),
        "crema-d-votes-levels": partial(crema_d_votes, votes, variant="levels"),
        "av-digits-random": partial(av_digits, digits, variant="random", audio="image"),
        **{
            f"av-digits-shift-{name}": partial(av_digits, digits, variant="shift", audio="image", speaker=name)
            for name in SPEAKERS
        },
    }


def main() -> None:
    options = arguments(__doc__).parse_args()
    for name, build in builders(options.source).items():
        if not (options.out / name).exists():
            write(build(), options.out / name)


if __name__ == "__main__":
    main()
