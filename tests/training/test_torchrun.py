"""`torchrun manage.py sessrec_train`: several processes, one run."""

import pytest

from django_sessrec.models import Promotion, TrainingRun
from tests.support.processes import process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def test_two_processes_make_one_run(visits, tmp_path):
    settings = {"DJANGO_SETTINGS_MODULE": "tests.chaos.worker_settings", "TRAINS_HERE": str(tmp_path)}
    command = (*TORCHRUN, "-m", "django", "sessrec_train", "net")
    with process(*command, cwd=tmp_path, OMP_NUM_THREADS="1", **settings) as child:
        wait_for(lambda: child.poll() is not None, seconds=300)
        assert child.returncode == 0, (tmp_path / "output").read_text()[-2_000:]
    [run] = TrainingRun.objects.all()
    assert run.state == TrainingRun.State.PUBLISHED, run.error
    assert Promotion.objects.active("net") == run
