"""Write scikit-learn's handwritten digits as pictures, one folder a digit.

    python benchmarks/digits.py benchmarks/digits

The 1,797 pictures of 8 x 8 pixels come with scikit-learn (Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten
Digits", UCI Machine Learning Repository); nothing is downloaded.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder: Path) -> int:
    """Write `<digit>/<number>.png`, grey, and return how many; pictures that are there already are replaced."""
    pictures, digits = load_digits(return_X_y=True)
    for number, (pixels, digit) in enumerate(zip(pictures, digits, strict=True)):
        path = folder / str(digit) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = np.rint(pixels.reshape(8, 8) * (255 / 16)).astype(np.uint8)  # 17 levels
        Image.fromarray(grey).save(path)
    return len(digits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write scikit-learn's handwritten digits as pictures.")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    print(f"{write_digits(arguments.folder)} pictures in {arguments.folder}")
