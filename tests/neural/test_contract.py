from django_sessrec.neural import SRGNN, GRU4Rec, SASRec
from tests.recsys.contract import RecommenderContract


class TestGRU4Rec(RecommenderContract):
    estimator = GRU4Rec(embedding_size=32, threads=1)
    beats_popularity = 7.0


class TestSASRec(RecommenderContract):
    estimator = SASRec(embedding_size=32, threads=1)
    beats_popularity = 7.0


class TestSRGNN(RecommenderContract):
    estimator = SRGNN(embedding_size=32, threads=1)
    beats_popularity = 7.0
