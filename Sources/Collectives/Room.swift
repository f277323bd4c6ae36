// The room Collectives.
