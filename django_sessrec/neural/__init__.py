"""Engine 2: nets on torch, one file per paper, for the training worker alone. No Django."""

from django_sessrec.neural.gru4rec import GRU4Rec
from django_sessrec.neural.sasrec import SASRec
from django_sessrec.neural.srgnn import SRGNN

__all__ = ["SRGNN", "GRU4Rec", "SASRec"]
