from ctlr.report.missing.section import excluded_table


def test_images_left_out_for_one_reason_count_together_whatever_they_are_called() -> None:
    repeated = "this picture stands in the set before; the first one is kept."
    empty = "the picture is empty: every pixel is 3. Export it again."
    table = excluded_table([repeated, repeated, empty])
    assert [(record["images"], record["reason"]) for record in table.records] == [(2, repeated), (1, empty)]
