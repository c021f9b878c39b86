SELECT * FROM sessrec_bi_sessions
