"""What others reached on the same cases, HR@20 and MRR@20 in percent, with the source of each.

docs/results.md also names the higher figures in print that are of other cases, or look into the test batch.
"""

PUBLISHED = {
    "diginetica": (
        ("POP", "Wu et al. 2019 (SR-GNN)", 0.89, 0.20),
        ("GRU4Rec as run there", "Wu et al. 2019 (SR-GNN)", 29.45, 8.33),
        ("STAMP", "Wu et al. 2019 (SR-GNN)", 45.64, 14.32),
        ("NARM", "Wu et al. 2019 (SR-GNN)", 49.70, 16.17),
        ("SR-GNN", "Wu et al. 2019 (SR-GNN)", 50.73, 17.59),
        ("GRU4Rec", "session-rec, same recipe", 50.97, 17.50),
        ("V-SKNN", "session-rec, same recipe", 52.03, 18.41),
        ("S2-DHCN", "its paper", 53.18, 18.44),
        ("NISER+", "its paper", 53.39, 18.72),
        ("MGIR", "its paper", 53.73, 18.77),
        ("GCE-GNN", "its paper", 54.22, 19.04),
        ("Mssen", "its paper, not audited", 55.17, 19.64),
        ("MSGIFSR", "its paper", 55.41, 19.01),
        ("SGNN-HN", "its paper", 55.67, 19.45),
    ),
}
