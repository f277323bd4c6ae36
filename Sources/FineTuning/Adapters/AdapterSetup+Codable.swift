/// The form in `config.json` and in trained files.
extension AdapterSetup: Codable {
  private enum CodingKeys: String, CodingKey { case configurations, composition, fusion }

  /// Reads a setup.
  /// - Throws: `Failure` when it makes no sense.
  package init(from decoder: any Decoder) throws {
    let keys = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      keys.decode([String: AdapterConfiguration].self, forKey: .configurations),
      keys.decode(Composition.self, forKey: .composition),
      fusion: keys.decode(FusionConfiguration.self, forKey: .fusion))
  }

  /// Writes the setup, in the library's own keys.
  package func encode(to encoder: any Encoder) throws {
    var keys = encoder.container(keyedBy: CodingKeys.self)
    try keys.encode(configurations, forKey: .configurations)
    try keys.encode(composition, forKey: .composition)
    try keys.encode(fusion, forKey: .fusion)
  }
}
