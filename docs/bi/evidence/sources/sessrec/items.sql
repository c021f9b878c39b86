SELECT * FROM sessrec_bi_items
