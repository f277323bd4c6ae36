// The room Datasets.
