SELECT * FROM sessrec_bi_pages
