"""1,500 digits of MNIST that ship with the project, and the script that made them."""
