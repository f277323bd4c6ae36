import Comparison
import Failures
import TestSupport
import Testing
import Training

/// What a person writes of methods, and figures over seeds.
@Suite("Comparison") struct MethodSpecificationTests {
  @Test("A method alone, with its first option, with others, and with a rate")
  func reading() throws {
    let all = try MethodSpecification.list(
      "full,lora:16,adapter:houlsby,adapter:8,lora:32:lora-targets=query+value@1e-3,full@2e-5,fusion:fuse=ko=a/b.h5+task=new"
    )
    #expect(all.map(\.method) == ["full", "lora", "adapter", "adapter", "lora", "full", "fusion"])
    #expect(
      all.map(\.arguments) == [
        [], ["--lora-rank=16"], ["--adapter-config=houlsby"], ["--adapter-reduction-factor=8"],
        ["--lora-rank=32", "--lora-targets=query,value"], [], ["--fuse=ko=a/b.h5,task=new"],
      ])
    #expect(all.map(\.learningRate) == [nil, nil, nil, nil, 1e-3, 2e-5, nil])
    #expect(all[4].label == "lora:32:lora-targets=query+value@1e-3")
  }

  @Test(
    "What is no method is refused, by its name",
    arguments: ["", "full,,lora", "full@", "full@fast", "full@-1", "full@nan", ":16", "lora:", "bitfit:3", "full,full"])
  func refusing(_ text: String) {
    #expect { try MethodSpecification.list(text) } throws: { error in
      (error as? Failure)?.kind == .usage && (error as? Failure)?.message.hasPrefix("--methods has ") == true
    }
  }

  @Test("Mean and sample deviation")
  func statistics() {
    let statistic = Statistic([2, 4, 4, 4, 5, 5, 7, 9])
    #expect(statistic.mean == 5)
    #expect(abs((statistic.deviation ?? 0) - (32.0 / 7).squareRoot()) < 1e-12)
    #expect(Statistic([0.8114]).figure == ".811")
    #expect(Statistic([0.8114]).range == nil)
    #expect(Statistic([0.81, 0.82]).figure == ".815 ± .007")
    #expect(Statistic([60, 62]).duration == "01:01 ± 00:01")
  }

  @Test("Predictions are read back as they stand, and a damaged file is refused with its line")
  func predictions() throws {
    let directory = try TemporaryDirectory()
    let header = "label\tprediction\tprobability\ttokens\tin_training\n"
    let good = try directory.write(Array((header + "1\t0\t0.75\t12\t1\n0\t0\t0.5\t3\t0\n").utf8), to: "good.tsv")
    let read = try ReviewPredictions(reading: good)
    #expect(read.labels == [1, 0] && read.predictions == [0, 0] && read.probabilities == [0.75, 0.5])
    #expect(read.tokenCounts == [12, 3] && read.isInTraining == [true, false])
    for line in ["1\t0\t0.75\t12", "1\tx\t0.75\t12\t1", "1\t0\t0.75\t12\t2", "-1\t0\t0.75\t12\t1"] {
      let path = try directory.write(Array((header + "1\t0\t0.75\t12\t1\n" + line + "\n").utf8), to: "bad.tsv")
      #expect { try ReviewPredictions(reading: path) } throws: { error in
        (error as? Failure)?.kind == .badContent && (error as? Failure)?.message.contains("bad.tsv:3: ") == true
      }
    }
  }
}
