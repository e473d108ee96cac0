"""LeNet-5 on MNIST: the Newton-Krylov trainer against Adam and SGD, ours and PyTorch's.

    python -m tests.bench.lenet --out FOLDER [--limit 100] [--tasks tanh sigmoid] [--seeds 0 1 2]
    python -m tests.bench.lenet --out FOLDER --images 10000 --epochs 20 --schedule constant
    python -m tests.bench.lenet --table FOLDER

The first races for the seconds to given training losses on all 60 000 images, methods of first
order with a cosine decay to 0 at the limit; the second, the paper's protocol, compares the training
losses after equal epochs on the first 10 000. Images come from the folder that MCX_DATA names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tests.bench.contestants import Task
from tests.bench.networks import NETWORKS
from tests.bench.race import Race, main

from mcx_nn import lenet5, load_mnist, softmax_cross_entropy  # isort: skip
from mcx_optim import GrowingSample, NewtonKrylov  # isort: skip

# Name -> (samples per step, function that makes a new NewtonKrylov).
CONFIGURATIONS = {
    "Newton-Krylov, stochastic": (200, NewtonKrylov.stochastic),
    "Newton-Krylov, stochastic, small samples": (
        100,
        lambda: NewtonKrylov.stochastic(rhs=GrowingSample(200, 1.02)),
    ),
    "Newton-Krylov, global gradient": (128, NewtonKrylov),
    "Newton-Krylov, batch gradient": (128, partial(NewtonKrylov, rhs="batch", screening=False)),
    "Algorithm 1 as printed": (128, partial(NewtonKrylov, literal=True)),
}
CHUNK = 128  # near the fastest of 64, 128, … 1024 for loss and gradient over all data


def lenet(activation: str, images: int) -> Task:
    """Return the task: LeNet-5 with an activation, on so many images of MNIST."""
    sigmoid = NETWORKS["LeNet-5"]
    operations = [activation if name == "sigmoid" else name for name in sigmoid.operations]
    network = replace(sigmoid, model=partial(lenet5, activation), operations=operations)
    x, y, _, _ = load_mnist()
    data = x[:images], y[:images]
    return Task(f"LeNet-5 {activation}", network, softmax_cross_entropy, data, CHUNK)


RACE = Race(
    title=__doc__.splitlines()[0],
    tasks={name: partial(lenet, name) for name in ("tanh", "sigmoid")},
    configurations=CONFIGURATIONS,
    images=60_000,
    seconds=100.0,
    targets=(0.1, 0.015, 0.001),
)

if __name__ == "__main__":
    main(RACE)
