"""`torchrun manage.py sessrec_train`: several processes, one run."""

import pytest

from django_sessrec.models import Promotion, TrainingRun
from tests.support.processes import process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

TWO_MODELS = """
from tests.chaos.worker_settings import *

SESSREC["MODELS"] = {
    "broken": {"ESTIMATOR": "tests.training.slow_net.OutOfMemory"}, "net": SESSREC["MODELS"]["net"]
}
"""


def test_two_processes_make_one_run(visits, tmp_path):
    settings = {"DJANGO_SETTINGS_MODULE": "tests.chaos.worker_settings", "TRAINS_HERE": str(tmp_path)}
    command = (*TORCHRUN, "-m", "django", "sessrec_train", "net")
    with process(*command, cwd=tmp_path, OMP_NUM_THREADS="1", **settings) as child:
        wait_for(lambda: child.poll() is not None, seconds=300)
        assert child.returncode == 0, (tmp_path / "output").read_text()[-2_000:]
    [run] = TrainingRun.objects.all()
    assert run.state == TrainingRun.State.PUBLISHED, run.error
    assert Promotion.objects.active("net") == run


def test_a_run_that_fails_is_the_last_of_the_command(visits, tmp_path):
    """The other process waits in a step of the failed run: it can't take part in the next one."""
    (tmp_path / "two_models.py").write_text(TWO_MODELS)
    settings = {"DJANGO_SETTINGS_MODULE": "two_models", "TRAINS_HERE": str(tmp_path)}
    command = (*TORCHRUN, "-m", "django", "sessrec_train", "broken", "net")
    with process(*command, cwd=tmp_path, OMP_NUM_THREADS="1", **settings) as child:
        wait_for(lambda: child.poll() is not None, seconds=300)
        assert child.returncode != 0
    [run] = TrainingRun.objects.all()
    assert (run.model, run.state) == ("broken", TrainingRun.State.FAILED)
    assert "OutOfMemoryError: CUDA out of memory" in run.verdict
    assert f"failed: {run}" in (tmp_path / "output").read_text()
