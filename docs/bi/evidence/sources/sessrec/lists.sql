SELECT * FROM sessrec_bi_lists
