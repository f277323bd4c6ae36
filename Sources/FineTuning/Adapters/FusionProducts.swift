internal import BERT
internal import Kernels
internal import Tensors

/// Where a fusion's parameters lie.
struct FusionPlaces {
  let query: (weight: Parameter, bias: Parameter)  // [H, H], [H]
  let key: (weight: Parameter, bias: Parameter)  // [H, H], [H]
  let value: Parameter?  // [H, H]
}

/// The products of a fusion in one of the two orders: `out += W_v Σ_n p_n u_n`, with the shares
/// `p = softmax_n(mask · ((W_q q + b_q) · (W_k u_n + b_k)))`.
protocol FusionProducts: AnyObject {
  /// p of the last forward, `[rows, N]`.
  var shares: Matrix? { get }
  /// Adds the output of the fusion.
  /// - Parameters:
  ///   - query: q, `[rows, H]`; read again by backward, as is `z`.
  ///   - z: What the adapters read, `[rows, H]`.
  ///   - out: `[rows, H]`, neither of the two.
  ///   - mask: Dropout on the scores.
  ///   - workspace: Parameters, memory.
  func forward(query: Matrix, _ z: Matrix, addingTo out: Matrix, _ mask: Mask?, _ workspace: Workspace)
  /// Adds the gradients of fusion and adapters, writes that of the query and adds that of `z`.
  /// - Parameters:
  ///   - g: The gradient of the output, `[rows, H]`; left as it is.
  ///   - dQuery: `[rows, H]`.
  ///   - dz: `[rows, H]`, added to after `dQuery` was written: the two may be one.
  ///   - workspace: Where gradients go, memory.
  func backward(_ g: Matrix, dQuery: Matrix, addingTo dz: Matrix, _ workspace: Workspace)
}
