"""Names of data sets, and where their files are looked for; `golden.training.data` reads them."""

from pathlib import Path

#: 1,000 training and 500 test digits of MNIST; embedded/README.md says how they were chosen.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "mnist-1500.npz"

#: Those of torchvision, and where each lies below the root folder, as torchvision has it.
FOLDERS = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw", "cifar10": "cifar-10-batches-py"}

NAMES = ("embedded", *FOLDERS)

#: Environment variable that names the root folder, the one that holds MNIST/raw and FashionMNIST/raw.
VARIABLE = "NUDGE_DATA"
