/// How wide a text is in a sans-serif face, so that a layout needs no font: Helvetica's advance widths and a tenth more,
/// since other faces run wider; Korean and other wide characters take an em.
func textWidth(_ text: String, size: Double) -> Double {
  text.unicodeScalars.reduce(0) { $0 + advance($1) } * size * 1.1 / 1000
}

/// The advance widths from the space to the tilde, in thousandths of an em.
private let advances: [Double] = [
  278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
  556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
  1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
  667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
  333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
  556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
]

private func advance(_ scalar: Unicode.Scalar) -> Double {
  let index = Int(scalar.value) - 0x20
  if advances.indices.contains(index) { return advances[index] }
  return scalar.value >= 0x1100 ? 1000 : 584
}
