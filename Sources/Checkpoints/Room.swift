// The room Checkpoints.
