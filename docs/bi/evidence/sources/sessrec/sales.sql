SELECT * FROM sessrec_bi_sales
