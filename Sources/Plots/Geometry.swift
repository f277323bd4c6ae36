/// A rectangle of an image, in pixels from the top left.
package struct Box: Equatable {
  let left: Double
  let top: Double
  let right: Double
  let bottom: Double

  /// A box from its edges, in pixels; `top` is the smaller of its ends.
  package init(left: Double, top: Double, right: Double, bottom: Double) {
    (self.left, self.top, self.right, self.bottom) = (left, top, right, bottom)
  }

  var width: Double { right - left }
  var height: Double { bottom - top }

  package func overlaps(_ other: Box) -> Bool {
    left < other.right && other.left < right && top < other.bottom && other.top < bottom
  }

  package func contains(_ other: Box) -> Bool {
    left <= other.left && other.right <= right && top <= other.top && other.bottom <= bottom
  }

  package func contains(_ x: Double, _ y: Double) -> Bool {
    x >= left - 0.01 && x <= right + 0.01 && y >= top - 0.01 && y <= bottom + 0.01
  }

  /// The part of a line from a to b that lies inside; nil when none does (Liang and Barsky).
  package func clip(_ a: Pixel, _ b: Pixel) -> (start: Pixel, end: Pixel)? {
    let (dx, dy) = (b.x - a.x, b.y - a.y)
    var (from, to) = (0.0, 1.0)
    for (direction, distance) in [(-dx, a.x - left), (dx, right - a.x), (-dy, a.y - top), (dy, bottom - a.y)] {
      if direction == 0 {
        if distance < 0 { return nil }
      } else if direction < 0 {
        from = max(from, distance / direction)
      } else {
        to = min(to, distance / direction)
      }
    }
    guard from <= to else { return nil }
    return (Pixel(x: a.x + from * dx, y: a.y + from * dy), Pixel(x: a.x + to * dx, y: a.y + to * dy))
  }
}

/// A place in an image, in pixels from the top left.
package struct Pixel: Equatable {
  /// To the right.
  package let x: Double
  /// Downwards.
  package let y: Double

  /// A place.
  package init(x: Double, y: Double) { (self.x, self.y) = (x, y) }
}
