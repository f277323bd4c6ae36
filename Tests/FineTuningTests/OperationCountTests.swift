import BERT
import FineTuning
import TestSupport
import Testing

/// The count of floating-point operations against products written out, two operations a multiplication.
@Suite
struct OperationCountTests {
  /// H 24, I 40, 2 layers, 10 tokens: keys and values for all tokens, the rest of the last layer for one row.
  static let (n, h, i) = (10.0, 24.0, 40.0)

  /// A product of `a × b` with `b × c`.
  static func product(_ a: Double, _ b: Double, _ c: Double) -> Double { 2 * a * b * c }

  /// What forward needs of a layer: query, key and value; attention; the three maps after it.
  static func forward(_ rows: Double, prefix: Double = 0) -> (qkv: Double, attention: Double, rest: Double) {
    (
      product(rows, h, h) + 2 * product(n, h, h), 2 * product(rows, n + prefix, h),
      product(rows, h, h) + product(rows, h, i) + product(rows, i, h)
    )
  }
  static let (first, last) = (forward(n), forward(1))
  static let all = first.qkv + first.attention + first.rest + last.qkv + last.attention + last.rest

  static func expect(
    _ method: any FineTuningMethod, _ operations: Double, _ label: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let count = try OperationCount(method, TinyModel.configuration())
    expectClose(
      count.operations(tokens: 10), operations, relative: 1e-12, "\(method.name) \(label)",
      sourceLocation: sourceLocation)
  }

  @Test
  func partialMethods() throws {
    // Forward, gradients of inputs, gradients of weights; attention's two products have two gradients each.
    try Self.expect(FullFineTuning(), 3 * Self.all)
    // Forward alone: the classifier is left out everywhere.
    try Self.expect(LinearProbe(), Self.all)
    // Biases have no products, and the embeddings' is the lowest of them.
    try Self.expect(BitFit(), 2 * Self.all + Self.first.attention + Self.last.attention)
    // Scales are no products. Key and value of the lowest layer are trained, its query is not.
    let lowest = Self.first.rest + Self.product(10, 10, 24) * 3
    try Self.expect(IA3(), Self.all + lowest + Self.last.qkv + 2 * Self.last.attention + Self.last.rest)
  }

  /// Query and value of the lowest layer: no gradient of its input, none of its keys.
  @Test
  func lora() throws {
    let r = 5.0
    let (n, h) = (Self.n, Self.h)
    let above = Self.all + Self.last.qkv + 2 * Self.last.attention + Self.last.rest
    let lowest = Self.first.rest + 3 * Self.product(n, n, h)
    // Down and up; backward the gradients of both and of what lies between; in the upper layer that of the input.
    let one = Self.product(1, r, h)
    let branches = 2 * n * 5 * one + (1 + n) * 6 * one
    try Self.expect(LoRA(loraRank: 5, dropout: 0), above + lowest + branches)
    try Self.expect(LoRA(loraRank: 5, dropout: 0, variant: .dora), above + lowest + branches)
    try Self.expect(LoRA(loraRank: 5, dropout: 0.1, variant: .adapterHubDora), above + lowest + branches)
    // With dropout PEFT's DoRA takes the base's product of the dropped input too, and its gradient above.
    let again = 2 * n * Self.product(1, h, h) + 2 * (1 + n) * Self.product(1, h, h)
    try Self.expect(LoRA(loraRank: 5, dropout: 0.1, variant: .dora), above + lowest + branches + again, "dropout")
  }

  /// The column of A that a token names is no product; everything above it has gradients of inputs.
  @Test
  func embeddings() throws {
    let lora = try LoRA(loraRank: 5, dropout: 0, targets: ["word_embeddings"])
    let own = 3 * Self.product(Self.n, 5, Self.h)
    try Self.expect(lora, 2 * Self.all + Self.first.attention + Self.last.attention + own)
  }

  @Test
  func prefixTuning() throws {
    let (first, last) = (Self.forward(Self.n, prefix: 7), Self.forward(1, prefix: 7))
    let above = 2 * (last.qkv + last.rest) + 3 * last.attention
    // In the lowest layer the prefix waits for gradients of keys and values, and the scores' gradient; not of queries.
    let lowest = first.qkv + first.attention + 2 * first.rest + 3 * Self.product(Self.n, Self.n + 7, Self.h)
    try Self.expect(PrefixTuning(length: 7, bottleneckSize: 3), above + lowest)
  }

  /// Backward stops at the adapter of the lowest layer, whose input's gradient nobody needs.
  @Test
  func adapters() throws {
    let (n, h, b) = (Self.n, Self.h, 8.0)
    let core = Self.product(1, b, h)
    var configuration = AdapterConfiguration.pfeiffer
    configuration.reduction = AdapterConfiguration.Reduction(3)
    let above = Self.all + Self.last.qkv + 2 * Self.last.attention + Self.last.rest
    try Self.expect(BottleneckAdapters(configuration), above + n * 5 * core + 6 * core, "pfeiffer")
    // Only the upper layer has one: nothing goes further down.
    configuration.leaveOut = [0]
    try Self.expect(BottleneckAdapters(configuration), Self.all + 5 * core, "pfeiffer above")
    // After attention too: through the feed-forward block, not through attention's own map.
    var houlsby = AdapterConfiguration.houlsby
    houlsby.reduction = AdapterConfiguration.Reduction(3)
    let feedForward = 2 * Self.product(n, h, Self.i)
    try Self.expect(
      BottleneckAdapters(houlsby), above + feedForward + n * 11 * core + 12 * core, "houlsby")
  }

  /// A language adapter with its invertible block, below a task adapter: frozen, then trained.
  @Test
  func stack() throws {
    let (n, h) = (Self.n, Self.h)
    let (wide, narrow) = (Self.product(1, 12, h), Self.product(1, 8, h))
    let half = Self.product(1, 6, 12)
    let setup = AdapterSetups.all[0]
    let upper = Self.last.qkv + 2 * Self.last.attention + Self.last.rest
    // Frozen: forward everywhere; gradients pass it in the upper layer; above it the task adapter's.
    let frozen = (n + 1) * 2 * wide + n * 4 * half + 2 * wide + n * 5 * narrow + 6 * narrow
    try Self.expect(
      BottleneckAdapters(setup.setup, trained: ["task"]), Self.all + upper + frozen, "one trained")
    // Trained: backward goes all the way down. Of four maps of the block's two networks, each has a forward, a
    // gradient, one of its inner activations, and only the first network's input waits for nobody.
    let block = n * (4 + 4 + 2 + 1) * half
    let lower = Self.first.qkv + 2 * Self.first.attention + Self.first.rest
    try Self.expect(
      BottleneckAdapters(setup.setup, trained: ["ko", "task"]),
      Self.all + upper + lower + block + (n + 1) * 6 * (wide + narrow), "both trained")
  }

  @Test
  func fusion() throws {
    let (n, h) = (Self.n, Self.h)
    let (matrix, candidate) = (Self.product(1, h, h), Self.product(1, 1, h))
    // Bottlenecks of 8 and 4.
    let (a, b) = (Self.product(1, 8, h), Self.product(1, 4, h))
    let setup = AdapterSetups.all[2].setup
    let upper = Self.all + Self.last.qkv + 2 * Self.last.attention + Self.last.rest
    // Query, key, value; a score and a share for each of two.
    let forward = 3 * matrix + 4 * candidate + 2 * (a + b)
    // The gradients of query, key and value, of the mixture and of what the query map made; two scores and shares.
    let own = 3 * matrix + 2 * matrix + 4 * candidate
    // Of the query, and of each candidate along share and score, down to what both adapters read.
    let input = matrix + 4 * candidate + 2 * (a + b)
    try Self.expect(
      AdapterFusion(setup), upper + (n + 1) * (forward + own) + input, "frozen adapters")
    // One trained: its candidate's gradient is needed in the lowest layer as well, and its weights'.
    try Self.expect(
      AdapterFusion(setup, trained: ["b"]),
      upper + (n + 1) * (forward + own + 2 * candidate + 3 * b) + matrix + 2 * candidate + 2 * a + b, "one trained")
  }
}
