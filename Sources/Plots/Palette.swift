/// The colours of plots, in light and in dark.
///
/// The series' hues are Okabe and Ito's, which people with any kind of colour vision tell apart; their lightness is moved
/// until each stands out at least 3 : 1 from the paper (WCAG 2.2, 1.4.11). Yellow, which cannot on white, is left out.
///
/// - SeeAlso: [Okabe and Ito: *Color universal design*, 2008](https://jfly.uni-koeln.de/color/).
package enum Palette {
  /// One set of colours, as `#rrggbb`.
  package struct Colours: Sendable, Equatable {
    /// The background.
    package let paper: String
    /// Titles, axes and labels.
    package let ink: String
    /// What may stand back: units, reference lines.
    package let muted: String
    /// Grid lines.
    package let grid: String
    /// One a series; reused from the start where there are more series.
    package let series: [String]
  }

  /// On white.
  package static let light = Colours(
    paper: "#ffffff", ink: "#1b1f24", muted: "#59636e", grid: "#e3e6ea",
    series: ["#0072b2", "#d55e00", "#009070", "#b55d91", "#3494cc", "#b37b00", "#1b1f24"])
  /// On near-black.
  package static let dark = Colours(
    paper: "#15191f", ink: "#e8ecf1", muted: "#9aa5b1", grid: "#2e353e",
    series: ["#4a9be0", "#f0793a", "#1fbf94", "#df92c0", "#8ccdf2", "#f2b735", "#e8ecf1"])
}

/// Which colours a plot has.
package enum Theme: Sendable {
  /// Those of the reader's screen: `prefers-color-scheme`, and light where nobody prefers.
  case automatic
  /// Light.
  case light
  /// Dark.
  case dark
}

/// The rules that every plot shares; a page that has several plots needs them once.
package enum StyleSheet {
  /// The rules of a theme.
  package static func rules(_ theme: Theme) -> String {
    switch theme {
    case .light: layout + colours(Palette.light)
    case .dark: layout + colours(Palette.dark)
    case .automatic:
      layout + colours(Palette.light) + "@media (prefers-color-scheme: dark) {\n" + colours(Palette.dark) + "}\n"
    }
  }

  private static let layout = """
    .plot text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, "Noto Sans", "Noto Sans KR", sans-serif; }
    .plot .title { font-size: 15px; font-weight: 600; }
    .plot .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
    .plot .error { fill: none; stroke-width: 1.25; }
    .plot .axis, .plot .grid, .plot .reference { fill: none; stroke-width: 1; }
    .plot .axis, .plot .grid { shape-rendering: crispEdges; }
    .plot .reference { stroke-dasharray: 3 3; }
    .plot .end { text-anchor: end; }
    .plot .middle { text-anchor: middle; }

    """

  private static func colours(_ colours: Palette.Colours) -> String {
    var rules = """
      .plot .paper { fill: \(colours.paper); }
      .plot text { fill: \(colours.ink); }
      .plot .muted { fill: \(colours.muted); }
      .plot .axis { stroke: \(colours.ink); }
      .plot .grid { stroke: \(colours.grid); }
      .plot .reference { stroke: \(colours.muted); }
      .plot .on { fill: \(colours.paper); }
      .plot .marker { stroke: \(colours.paper); stroke-width: 1; }

      """
    for (index, colour) in colours.series.enumerated() {
      rules += ".plot .s\(index) { stroke: \(colour); } .plot .f\(index) { fill: \(colour); }\n"
    }
    return rules
  }
}
