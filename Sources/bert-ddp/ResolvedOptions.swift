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
    take(optimizer)
    take(place)
    maxLength = data.maxLength ?? maxLength
    asksForMaxLength = data.maxLength != nil
  }

  /// What was asked of the optimiser; what was not stays.
  mutating func take(_ optimizer: OptimizerOptions) {
    adamEpsilon = optimizer.adamEpsilon ?? adamEpsilon
    (adamBeta1, adamBeta2) = (optimizer.adamBeta1, optimizer.adamBeta2 ?? adamBeta2)
    weightDecay = optimizer.weightDecay ?? weightDecay
    (maxGradNorm, lrSchedule, warmupRatio) = (optimizer.maxGradNorm, optimizer.lrSchedule, optimizer.warmupRatio)
    globalBatchSize = optimizer.globalBatchSize ?? globalBatchSize
    (accumulationSteps, maxSteps) = (optimizer.accumulationSteps, optimizer.maxSteps)
    dropout = optimizer.dropout
    epochs = optimizer.epochs ?? epochs
  }

  /// How a run goes on and what it says.
  mutating func take(_ place: RunOptions) {
    (checkpointEvery, keepCheckpoints) = (place.checkpointEvery, place.keepCheckpoints)
    checkpointMinutes = place.checkpointMinutes
    (evaluateEvery, earlyStoppingPatience) = (place.evaluateEvery, place.earlyStoppingPatience)
    tensorboard = place.tensorboard
    (threads, logEvery) = (place.threads, place.logEvery)
    (precision, deterministic, skipNonfinite) = (place.precision, place.deterministic, place.skipNonfinite)
    shardOptimizer = place.shardOptimizer
    cacheFrozen = place.cacheFrozen ? true : nil
    (stallTimeout, maxMinutes) = (place.stallTimeout, place.maxMinutes)
    (trace, logRanks) = (place.trace, place.logRanks)
  }

  /// What a single run has one of.
  mutating func take(_ single: SingleRunOptions) {
    learningRate = single.learningRate ?? learningRate
    (trainLimit, seed, resume) = (single.trainLimit, single.seed, single.resume)
    (untimedSteps, writesCheckpoints) = (single.untimedSteps, !single.noCheckpoints)
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
