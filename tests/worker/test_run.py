"""One task in this process, by real programs: does the server take what comes out?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qchive.kinds import KINDS
from qchive.kinds import result as returned
from qchive.kinds.servicesubtask import servicesubtask
from qchive.wire import compress, decompress, decompress_bytes
from qchive.worker import run
from qchive.worker.pack import NotPackable, pack, plain
from tests.flows.bands import across_the_well, double_well
from tests.worker.worker_tasks import WATER, atomic, optimization

pytestmark = pytest.mark.usefixtures("warm")


@pytest.fixture(scope="module")
def warm() -> None:
    run.warm_up()


def ran(kwargs: dict[str, Any], folder: Path, function: str | None = None) -> bytes:
    """The unpacked MessagePack that the server sees."""
    function = function or ("qcengine.compute" if "program" in kwargs else "qcengine.compute_procedure")
    config = {"ncores": 1, "memory": 1.0, "scratch_directory": str(folder)}
    success, blob = run.packed(*run.run(function, compress(kwargs), config))
    packed = decompress_bytes(blob, "zstd", 1 << 30)
    assert success is (returned.failure(packed) is None)
    return packed


def error(packed: bytes) -> returned.ComputeError:
    failed = returned.failure(packed)
    assert failed is not None
    assert failed.error is not None
    return failed.error


def test_an_energy(tmp_path: Path) -> None:
    outcome = KINDS["singlepoint"].outcome(ran(atomic("tblite", "gfn2-xtb", record=12, extras={"mine": 1}), tmp_path))
    assert outcome.properties["return_energy"] == pytest.approx(-5.0703, abs=1e-3)
    assert outcome.properties["return_result"] == outcome.properties["return_energy"]
    assert outcome.extras == {"mine": 1}
    assert outcome.provenance["creator"].lower() == "tblite"
    assert outcome.provenance["qcengine_version"]


@pytest.mark.parametrize(("driver", "length"), [("gradient", 9), ("hessian", 81)])
def test_arrays_travel_flat(tmp_path: Path, driver: str, length: int) -> None:
    outcome = KINDS["singlepoint"].outcome(ran(atomic("tblite", "gfn2-xtb", driver), tmp_path))
    assert np.shape(outcome.properties["return_result"]) == (length,)


def test_the_result_keeps_the_id_and_the_layout_of_version_1(tmp_path: Path) -> None:
    import msgspec

    sent = msgspec.msgpack.decode(ran(atomic("rdkit", "uff", "gradient", record=77), tmp_path))
    assert (sent["schema_name"], sent["schema_version"], sent["id"]) == ("qcschema_output", 1, "77")
    assert sent["molecule"]["schema_version"] == 2
    assert sent["molecule"]["geometry"] == WATER["geometry"]
    assert sent["model"] == {"method": "uff", "basis": None}
    assert "schema_name" not in sent["properties"]


def test_the_peers_model_takes_what_we_send(tmp_path: Path) -> None:
    """QCElemental's own version-1 models, which forbid unknown keys, accept both kinds of results."""
    import msgspec
    from qcelemental.models._v1v2 import AtomicResult, OptimizationResult

    single = msgspec.msgpack.decode(ran(atomic("tblite", "gfn2-xtb", "gradient"), tmp_path))
    AtomicResult(**single)
    path = msgspec.msgpack.decode(ran(optimization("tblite", "gfn2-xtb"), tmp_path))
    OptimizationResult(**path)


def test_a_wavefunction_and_native_files(tmp_path: Path) -> None:
    given = atomic(
        "pyscf", "hf", basis="sto-3g", protocols={"wavefunction": "orbitals_and_eigenvalues", "native_files": "all"}
    )
    outcome = KINDS["singlepoint"].outcome(ran(given, tmp_path))
    assert outcome.wavefunction is not None
    kept = decompress(outcome.wavefunction)
    assert kept["basis"]["schema_name"] == "qcschema_basis_set"
    assert len(kept["scf_eigenvalues_a"]) == 7
    assert "stdout" in outcome.outputs


def test_an_optimization_with_its_trajectory(tmp_path: Path) -> None:
    outcome = KINDS["optimization"].outcome(ran(optimization("tblite", "gfn2-xtb", extras={"q": 1}), tmp_path))
    energies = outcome.fields["energies"]
    assert len(outcome.children) == len(energies) > 1
    assert energies[-1] == pytest.approx(-5.07054, abs=1e-4)
    assert outcome.extras == {"q": 1}
    step = outcome.children[-1]
    assert step.specification.program == "tblite"
    assert step.specification.driver == "gradient"
    assert step.outcome.properties["return_energy"] == pytest.approx(energies[-1])
    assert step.outcome.extras == {}
    assert outcome.molecules[0].role == "final_molecule"
    assert "stdout" in outcome.outputs


@pytest.mark.parametrize(("kept", "steps"), [("initial_and_final", 2), ("final", 1), ("none", 0)])
def test_the_trajectory_protocol(tmp_path: Path, kept: str, steps: int) -> None:
    given = optimization("rdkit", "uff", protocols={"trajectory": kept})
    outcome = KINDS["optimization"].outcome(ran(given, tmp_path))
    assert len(outcome.children) == steps
    assert len(outcome.fields["energies"]) > 2


@pytest.mark.parametrize("program", ["rdkit", "tblite", "pyscf"])
def test_steps_carry_the_name_that_qcengine_knows(tmp_path: Path, program: str) -> None:
    method = {"rdkit": "uff", "tblite": "gfn2-xtb", "pyscf": "hf"}[program]
    given = optimization(program, method)
    if program == "pyscf":
        given["input_data"]["input_specification"]["model"]["basis"] = "sto-3g"
    outcome = KINDS["optimization"].outcome(ran(given, tmp_path))
    assert {child.specification.program for child in outcome.children} == {program}


def test_a_dispersion_program(tmp_path: Path) -> None:
    given = atomic("s-dftd3", "pbe", keywords={"level_hint": "d3bj"})
    outcome = KINDS["singlepoint"].outcome(ran(given, tmp_path))
    assert outcome.properties["return_energy"] < 0


def test_an_unknown_method_is_an_input_error(tmp_path: Path) -> None:
    failed = error(ran(atomic("rdkit", "nonsense"), tmp_path))
    assert failed.error_type == "input_error"
    assert "UFF" in failed.error_message


def test_an_unknown_program_is_an_input_error(tmp_path: Path) -> None:
    assert error(ran(atomic("nonsense", "hf"), tmp_path)).error_type == "input_error"


def test_input_errors_of_a_step_are_input_errors_of_the_optimization(tmp_path: Path) -> None:
    failed = error(ran(optimization("rdkit", "nonsense"), tmp_path))
    assert failed.error_type == "input_error"
    assert failed.extras["failed_result"]["success"] is False


def test_an_optimization_that_takes_too_long_has_not_converged(tmp_path: Path) -> None:
    failed = error(ran(optimization("tblite", "gfn2-xtb", keywords={"maxiter": 1}), tmp_path))
    assert failed.error_type == "convergence_error"


def test_a_failed_optimization_keeps_its_output(tmp_path: Path) -> None:
    failed = returned.failure(ran(optimization("tblite", "gfn2-xtb", keywords={"maxiter": 1}), tmp_path))
    assert failed is not None
    assert "Maximum iterations reached" in decompress(returned.failure_outputs(failed)["stdout"][1])


def test_a_molecule_that_makes_no_sense_is_an_input_error(tmp_path: Path) -> None:
    given = atomic("rdkit", "uff")
    given["input_data"]["molecule"] = {**WATER, "symbols": ["O"]}
    assert error(ran(given, tmp_path)).error_type == "input_error"


@pytest.mark.parametrize("kwargs", [{}, {"input_data": 3, "program": "rdkit"}, {"input_data": {}, "program": "rdkit"}])
def test_arguments_without_sense_are_an_input_error(tmp_path: Path, kwargs: dict[str, Any]) -> None:
    assert error(ran(kwargs, tmp_path, "qcengine.compute")).error_type == "input_error"


def band_step(**wrong: Any) -> dict[str, Any]:
    """The arguments of a first step along a chain of six images."""
    frames = across_the_well(6)
    computed = [double_well(frame["symbols"], frame["geometry"]) for frame in frames]
    info = {
        "elems": frames[0]["symbols"],
        "charge": 0,
        "mult": 1,
        "geometry": [np.reshape(frame["geometry"], (-1, 3)).tolist() for frame in frames],
        "energies": [energy for energy, _ in computed],
        "gradients": [gradient for _, gradient in computed],
        "params": {
            "images": 6,
            "spring_constant": 1.0,
            "spring_type": 0,
            "maximum_force": 0.1,
            "average_force": 0.05,
            "maximum_cycle": 100,
            "optimize_ts": False,
            "optimize_endpoints": False,
            "align": True,
            "epsilon": 1e-5,
            "iteration": 1,
        },
    }
    return {"info_dict": info | wrong}


NEXT_CHAIN = "geometric.qcf_neb.nextchain"


def test_a_step_of_a_nudged_elastic_band(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    success, blob = run.packed(*run.run(NEXT_CHAIN, compress(band_step()), {"ncores": 1}, 77))
    assert success
    sent = decompress(blob)
    assert (sent["schema_name"], sent["id"], sent["success"]) == ("qca_generic_task_result", "77", True)
    outcome = servicesubtask.outcome(decompress_bytes(blob, "zstd", 1 << 30))
    geometries, nebinfo = outcome.fields["results"]
    assert np.shape(geometries) == (6, 3, 3)
    assert nebinfo["Ys"]
    assert "Chain optimization cycle 0" in outcome.fields["stdout"]
    assert "Chain optimization" not in capfd.readouterr().out
    assert outcome.provenance["creator"] == "geometric"
    assert outcome.provenance["routine"] == NEXT_CHAIN


def test_a_step_is_returned_as_the_peers_manager_does() -> None:
    """`peer_step.msgpack.zst` is what the unmodified manager, 0.71, returned for the same arguments."""
    recorded = (Path(__file__).parent / "peer_step.msgpack.zst").read_bytes()
    _, blob = run.packed(*run.run(NEXT_CHAIN, compress(band_step()), {"ncores": 1}, 71))
    peers, ours = decompress(recorded), decompress(blob)
    assert set(ours) - set(peers) == {"error"}  # which is null
    plain = set(ours) - {"results", "extras", "provenance"}
    assert {name: ours[name] for name in plain} == {name: peers.get(name) for name in plain}
    _assert_close(ours["results"], peers["results"])
    outcome = servicesubtask.outcome(decompress_bytes(recorded, "zstd", 1 << 30))
    _assert_close(outcome.fields["results"], peers["results"])
    assert "Chain optimization cycle 0" in outcome.fields["stdout"]
    assert outcome.extras == {}


def _assert_close(ours: Any, peers: Any) -> None:
    """The same structure, and the same numbers in it."""
    assert type(ours) is type(peers)
    if isinstance(ours, dict):
        assert set(ours) == set(peers)
        for name, value in ours.items():
            _assert_close(value, peers[name])
    elif isinstance(ours, list):
        assert len(ours) == len(peers)
        for one, other in zip(ours, peers, strict=True):
            _assert_close(one, other)
    else:
        assert ours == (pytest.approx(peers, abs=1e-9) if isinstance(ours, float) else peers)


def test_the_peers_model_takes_a_step() -> None:
    from qcportal.generic_result import GenericTaskResult

    _, blob = run.packed(*run.run(NEXT_CHAIN, compress(band_step()), {"ncores": 1}, 77))
    assert GenericTaskResult(**decompress(blob)).id == 77


def test_a_step_that_fails_leaves_what_was_printed(capfd: pytest.CaptureFixture[str]) -> None:
    success, result = run.run(NEXT_CHAIN, compress(band_step(energies=[0.0])), {"ncores": 1}, 77)
    assert not success
    assert "IndexError" in result["error"]["error_message"]
    assert result["id"] == "77"
    assert "Chain optimization cycle 0" in capfd.readouterr().out


@pytest.mark.parametrize("function", ["geometric.qcf_neb.arrange", "os.system", "system", ""])
def test_no_other_function_is_called(function: str) -> None:
    success, result = run.run(function, compress({"command": "true"}), {"ncores": 1}, 77)
    assert not success
    assert "does not know the function" in result["error"]["error_message"]


def test_plain_values() -> None:
    given = {"a": np.arange(4.0).reshape(2, 2), 3: (np.float64(1.5), np.int32(2), np.bool_(True)), "s": np.str_("x")}
    assert plain(given) == {"a": [0.0, 1.0, 2.0, 3.0], "3": [1.5, 2, True], "s": "x"}
    assert type(plain(np.str_("x"))) is str


def test_native_files_and_outputs_are_compressed_on_their_own() -> None:
    import msgspec

    given = {"schema_name": "qcschema_output", "extras": None, "stdout": "hi", "native_files": {"f": b"\xff\x00"}}
    sent = msgspec.msgpack.decode(decompress_bytes(pack(given), "zstd", 1 << 20))
    assert sent["stdout"] is None
    assert sent["native_files"] == {}
    assert decompress(sent["extras"]["_qcfractal_compressed_outputs"]["stdout"]["data"]) == "hi"
    assert decompress(sent["extras"]["_qcfractal_compressed_native_files"]["f"]["data"]) == b"\xff\x00"


@pytest.mark.parametrize("value", [object(), 1 << 70, 1j])
def test_what_cannot_be_sent_is_refused(value: Any) -> None:
    with pytest.raises(NotPackable):
        pack({"extras": {"thing": value}})


def test_endless_nesting_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(NotPackable, match="nested"):
        pack({"extras": value})
