"""Names as people write them into ids, files and tables; nobody bears them."""

__all__ = ["MARKS", "NAMES"]

MARKS = ("oakenshaw", "zephyrine", "欧肯肖", "оукеншо", "øykenshå", "أوكنشو", "オーケンショー", "oak'enshaw")
"""What gives a name away, in lower case: each of `NAMES` holds one."""

NAMES = (
    "ZEPHYRINE OAKENSHAW", "OAKENSHAW-ZEPHYRINE", "OAKENSHAW_ZEPHYRINE", "Zephyrine Oakenshaw",
    "zephyrine.oakenshaw", "Oakenshaw, Zephyrine", "ZEPHYRINE OAKENSHAW 12", "Oakenshaw12",
    "12Oakenshaw", "OAKENSHAW^ZEPHYRINE", "OakenshawZ", "z.oakenshaw", "Oak'enshaw Z",
    "Zephyrine d'Oakenshaw", "Zephyrine-Anne Oakenshaw", "OAKENSHAW  ZEPHYRINE",
    "Oakenshaw (Zephyrine)", "Oakenshaw [1961]", "Oakenshaw {Z}", "Oakenshaw & Zephyrine",
    "<b>Oakenshaw<b>", "Oakenshaw;Zephyrine", "Oakenshaw=Zephyrine", "-Oakenshaw", "--Oakenshaw",
    "_Oakenshaw_", "Oakenshaw+Z", "Oakenshaw@ward", "#Oakenshaw", "Oakenshaw%20Zephyrine",
    "Oakenshaw$", "Oakenshaw!", "Oakenshaw~", "Oakenshaw,Z,1961", "1961-03-04 Oakenshaw",
    "Oakenshaw 04.03.1961", "Oakenshaw T1w", "Oakenshaw.nii", "Oakenshaw.nii.gz", "Oakenshaw.png",
    "Oakenshaw.dcm", "oakenshaw" * 12, "Dr. Zephyrine Oakenshaw PhD", "sub-Oakenshaw", "欧肯肖",
    "Оукеншо Зефирина", "Øykenshå", "أوكنشو", "オーケンショー",
    "Zephyrine Øykenshå 7",
)  # fmt: skip
"""Fifty shapes, each of them a name that a file may have."""
