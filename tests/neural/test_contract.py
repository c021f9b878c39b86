from django_sessrec.neural import SRGNN, GRU4Rec, SASRec
from tests.recsys.contract import RecommenderContract


class TestGRU4Rec(RecommenderContract):
    estimator = GRU4Rec(threads=1)
    beats_popularity = 7.0


class TestSASRec(RecommenderContract):
    estimator = SASRec(threads=1)
    beats_popularity = 7.0


class TestSRGNN(RecommenderContract):
    estimator = SRGNN(threads=1)
    beats_popularity = 7.0
