"""The deep autoencoder on 10 000 images of MNIST: training loss after 200 s of training.

    python -m tests.bench.autoencoder --out FOLDER [--limit 200] [--seeds 0 1 2]
    python -m tests.bench.autoencoder --table FOLDER

784-1000-500-250-30 and back, binary cross-entropy of the pixels, which are scaled to 0 to 1.
Images come from the folder that MCX_DATA names.
"""

from __future__ import annotations

from tests.bench.contestants import Task
from tests.bench.networks import NETWORKS
from tests.bench.race import Race, main

import numpy as np  # isort: skip

from mcx_nn import binary_cross_entropy_with_logits, load_mnist
from mcx_optim import GrowingSample, NewtonKrylov

# Name -> (samples per step, function that makes a new NewtonKrylov).
CONFIGURATIONS = {
    "Newton-Krylov, stochastic": (
        400,
        lambda: NewtonKrylov.stochastic(rhs=GrowingSample(1500, 1.01)),
    ),
    "Newton-Krylov, global gradient": (512, NewtonKrylov),
}
CHUNK = 1024


def autoencoder(images: int) -> Task:
    """Return the task on so many images of MNIST."""
    x = load_mnist()[0]  # standardized
    black, white = x.min(), x.max()
    pixels = np.clip((x[:images].reshape(-1, 784) - black) / (white - black), 0, 1)
    network = NETWORKS["autoencoder"]
    data = pixels, pixels
    return Task("autoencoder", network, binary_cross_entropy_with_logits, data, CHUNK)


RACE = Race(
    title=__doc__.splitlines()[0],
    tasks={"autoencoder": autoencoder},
    configurations=CONFIGURATIONS,
    images=10_000,
    seconds=200.0,
)

if __name__ == "__main__":
    main(RACE)
