"""Engine 2: nets on torch, one file per paper, for the training worker alone. No Django."""

from django_sessrec.neural.gru4rec import GRU4Rec, GRU4RecPaper
from django_sessrec.neural.ranked import Ranked
from django_sessrec.neural.sasrec import SASRec, SASRecPaper
from django_sessrec.neural.srgnn import SRGNN, SRGNNPaper

__all__ = ["SRGNN", "GRU4Rec", "GRU4RecPaper", "Ranked", "SASRec", "SASRecPaper", "SRGNNPaper"]
