"""Images for benches of the store."""

from nudge.golden.training import data

#: Digits, each as bytes of pixels in raster order.
DIGITS = [image.tobytes() for image in data.load("embedded").train_images[:40].numpy()]
