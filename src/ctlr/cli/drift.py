"""`ctlr drift`: are files like what a model was trained on?"""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from ctlr.cli.options import cells_in, model_options, output_option, table_options

__all__ = ["drift"]


@click.command()
@model_options
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILES|FOLDER...")
@table_options
@output_option()
def drift(model: Path, files: tuple[Path, ...], table: Path | None, file_column: str, output: str) -> int:
    """Compare files with the images that MODEL was trained on: intensity, sharpness, place, predictions.

    The exit code is 3 where they differ. Needs no labels. Where a model reads columns beside the images, these and what
    it predicts are compared if `--table` gives them.
    """
    from ctlr.cli.show import counting, show, show_rows
    from ctlr.monitoring import Seen, drift_between, read_reference
    from ctlr.serving import files_in, predict_each
    from ctlr.serving._files import preparation_for, prepared_file
    from ctlr.training.checkpoint import load_model

    loaded, reference = load_model(model), read_reference(model)
    preparation = preparation_for(loaded, model.name)
    named = files_in(files, preparation)
    columns = None if table is None else cells_in(table, file_column, named, loaded.card)
    # What reads columns beside the image predicts nothing from files alone.
    alone = loaded.card.inputs and columns is None
    each = (
        (prepared_file(file, preparation) for file in named) if alone else predict_each(loaded, named, inputs=columns)
    )
    seen, refused = Seen(loaded.card), 0
    with counting("files") as progress:
        for number, found in enumerate(each, 1):
            refused += found.image is None
            if found.image is not None:
                seen.add_image(found.image)
            if found.values is not None:
                seen.add_columns({name: cells[number - 1] or "" for name, cells in (columns or {}).items()})
                seen.add_prediction(found.values)
            progress(number, len(named))
    found_drift = drift_between(reference, seen)
    if output != "table":
        show(found_drift.model_dump(mode="json") | {"refused": refused}, output)
    else:
        if found_drift.rows:
            rows = [row.model_dump() for row in found_drift.rows]
            show_rows("Features, the most striking first", rows)
        click.echo(found_drift.told[0].upper() + found_drift.told[1:])
    if refused:
        click.echo(f"{refused} of {len(named)} files do not fit the model; `ctlr predict` says why.", err=True)
    return 3 if found_drift.verdict == "drift" else 0
