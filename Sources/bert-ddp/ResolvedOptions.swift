import FineTuning
import Training

/// Options of the command line become a configuration.
extension TrainingConfiguration {
  /// What all runs of a command have in common.
  init(_ data: DataOptions, _ optimizer: OptimizerOptions, _ place: RunOptions) {
    self.init()
    (base, trainFile, validationFile, testFile) = (data.base, data.trainFile, data.validationFile, data.testFile)
    (textColumn, textPairColumn, labelColumn) = (data.textColumn, data.textPairColumn, data.labelColumn)
    (labelCount, validationFraction) = (data.numLabels, data.validationFraction)
    adamEpsilon = optimizer.adamEpsilon
    (adamBeta1, adamBeta2, weightDecay) = (optimizer.adamBeta1, optimizer.adamBeta2, optimizer.weightDecay)
    (maxGradNorm, lrSchedule, warmupRatio) = (optimizer.maxGradNorm, optimizer.lrSchedule, optimizer.warmupRatio)
    (globalBatchSize, accumulationSteps, maxSteps) = (
      optimizer.globalBatchSize, optimizer.accumulationSteps, optimizer.maxSteps
    )
    dropout = optimizer.dropout
    (checkpointEvery, keepCheckpoints) = (place.checkpointEvery, place.keepCheckpoints)
    (evaluateEvery, earlyStoppingPatience) = (place.evaluateEvery, place.earlyStoppingPatience)
    tensorboard = place.tensorboard
    (threads, logEvery) = (place.threads, place.logEvery)
    (deterministic, skipNonfinite) = (place.deterministic, place.skipNonfinite)
    shardOptimizer = place.shardOptimizer
    (stallTimeout, maxMinutes) = (place.stallTimeout, place.maxMinutes)
    (trace, logRanks) = (place.trace, place.logRanks)
    maxLength = data.maxLength ?? maxLength
    asksForMaxLength = data.maxLength != nil
    epochs = optimizer.epochs ?? epochs
  }

  /// The method's own options.
  mutating func take(_ method: MethodOptions) {
    methodOptions = method.fineTuning
    (languageAdapter, trainsAdapters) = (method.languageAdapter, method.trainAdapters)
    fuse = method.fuse?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
  }

  /// The embedded demo, where the person asked for nothing else.
  mutating func becomeDemo(_ data: DataOptions, _ optimizer: OptimizerOptions) {
    EmbeddedDemo.adjust(&self)
    maxLength = data.maxLength ?? maxLength
    epochs = optimizer.epochs ?? epochs
  }
}
