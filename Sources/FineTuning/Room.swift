// The room FineTuning.
