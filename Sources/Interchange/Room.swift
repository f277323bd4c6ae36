// The room Interchange.
