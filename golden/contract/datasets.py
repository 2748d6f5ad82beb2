"""Names of data sets and the folders of their files; `golden.training.data` reads them."""

from pathlib import Path

#: 1,000 training and 500 test digits of MNIST; embedded/README.md describes how they were chosen.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "mnist-1500.npz"

#: Torchvision's data sets, with the folder of each below the root folder, as torchvision lays them out.
FOLDERS = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw", "cifar10": "cifar-10-batches-py"}

NAMES = ("embedded", *FOLDERS)

#: Environment variable with the root folder, which contains MNIST/raw and FashionMNIST/raw.
VARIABLE = "NUDGE_DATA"
