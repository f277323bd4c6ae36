// The room BERT.
