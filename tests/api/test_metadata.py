"""What bulk calls answer, as people see it."""

from __future__ import annotations

from qchive.api.metadata import DeleteMetadata, InsertMetadata, TaskReturnMetadata, UpdateMetadata


def test_metadata_print_as_the_guide_shows() -> None:
    assert (
        str(UpdateMetadata(updated_idx=[0]))
        == "UpdateMetadata(error_description=None, errors=[], updated_idx=[0], n_children_updated=0)"
    )
    assert (
        str(DeleteMetadata(deleted_idx=[0, 1], n_children_deleted=5))
        == "DeleteMetadata(error_description=None, errors=[], deleted_idx=[0, 1], n_children_deleted=5)"
    )
    assert (
        str(InsertMetadata(inserted_idx=[1], existing_idx=[0]))
        == "InsertMetadata(error_description=None, errors=[], inserted_idx=[1], existing_idx=[0])"
    )
    for one in (UpdateMetadata(errors=[(0, "gone")]), DeleteMetadata(), InsertMetadata(error_description="no")):
        assert repr(one) == str(one)


def test_positions_are_sorted() -> None:
    meta = InsertMetadata(inserted_idx=[2, 0], existing_idx=[3, 1])
    assert (meta.inserted_idx, meta.existing_idx) == ([0, 2], [1, 3])


def test_refusals_are_counted_and_told() -> None:
    meta = UpdateMetadata(error_description="not all", errors=[(1, "gone"), (3, "complete")], updated_idx=[0, 2])
    assert (meta.n_updated, meta.n_errors, meta.error_idx, meta.success) == (2, 2, [1, 3], False)
    assert meta.error_string == "not all\n    Index 1: gone\n    Index 3: complete"
    assert UpdateMetadata().success


def test_returned_tasks_are_counted_and_told() -> None:
    meta = TaskReturnMetadata(rejected_info=[(7, "unknown")], accepted_ids=[5])
    assert (meta.n_accepted, meta.n_rejected, meta.rejected_ids, meta.success) == (1, 1, [7], True)
    assert meta.error_string == "    Task id 7: unknown"


def test_calls_made_one_after_the_other_read_as_one() -> None:
    first = InsertMetadata(inserted_idx=[0], existing_idx=[1], errors=[(2, "bad")])
    second = InsertMetadata(inserted_idx=[1], existing_idx=[0])
    assert InsertMetadata.merge([first, second]) == InsertMetadata(
        inserted_idx=[0, 4], existing_idx=[1, 3], errors=[(2, "bad")]
    )
    assert InsertMetadata.merge([]) == InsertMetadata()
    failed = InsertMetadata(error_description="unknown molecule")
    assert InsertMetadata.merge([first, failed]).error_description == "unknown molecule"
