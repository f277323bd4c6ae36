// The room Metrics.
