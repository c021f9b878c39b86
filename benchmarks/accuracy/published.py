"""What others reached on the same cases, HR@20 and MRR@20 in percent, with the source of each."""

PUBLISHED = {
    "diginetica": (
        ("POP", "Wu et al. 2019 (SR-GNN)", 0.89, 0.20),
        ("GRU4Rec, crippled", "Wu et al. 2019 (SR-GNN)", 29.45, 8.33),
        ("STAMP", "Wu et al. 2019 (SR-GNN)", 45.64, 14.32),
        ("NARM", "Wu et al. 2019 (SR-GNN)", 49.70, 16.17),
        ("SR-GNN", "Wu et al. 2019 (SR-GNN)", 50.73, 17.59),
        ("GRU4Rec", "session-rec, same recipe", 50.97, 17.50),
        ("V-SKNN", "session-rec, same recipe", 52.03, 18.41),
        ("NISER+", "its paper", 53.39, 18.72),
        ("S2-DHCN", "its paper", 53.66, 18.51),
        ("GCE-GNN", "its paper", 54.22, 19.04),
        ("SGNN-HN", "its paper", 55.67, 19.45),
        ("DIDN", "its paper", 56.22, 20.03),
        ("SR-PredAO + DIDN", "its paper; epochs picked on the test set", 57.86, 20.49),
    ),
}
