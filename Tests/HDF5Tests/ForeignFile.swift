import Foundation

/// A file of h5py 3.16 (HDF5 2.0) with what our own files never have. It was made by:
///
///     import h5py, numpy as np
///     f=h5py.File('foreign.h5','w',libver=('v110','v110'))
///     f['soft']=h5py.SoftLink('/tensors/plain')
///     f['external']=h5py.ExternalLink('other.h5','/x')
///     f['loop']=h5py.SoftLink('/loop')
///     g=f.create_group('tensors')
///     g['plain']=np.arange(4,dtype='<f4')
///     g['big_endian']=np.arange(4,dtype='>f4')
///     g['half']=np.arange(4,dtype='<f2')
///     g.create_dataset('outside',shape=(4,),dtype='<f4',external=[('values.raw',0,16)])
///     l=h5py.VirtualLayout(shape=(4,),dtype='<f4'); l[:]=h5py.VirtualSource('other.h5','x',shape=(4,))
///     g.create_virtual_dataset('virtual',l)
///     g.create_dataset('empty',dtype='<f4',data=h5py.Empty('f4'))
///     g.create_dataset('claims',shape=(1<<40,),chunks=(1024,),dtype='<f4')
///     g['t']=np.dtype('<f4')
///     f.attrs['variable']='한'
///     f.attrs['int32']=np.int32(3)
///     f.attrs['array']=np.arange(3,dtype='i8')
enum ForeignFile {
  /// The file's bytes.
  static var bytes: [UInt8] {
    // Base64, where `(n)` stands for n times the letter A.
    var base64 = ""
    var count: Int?
    for character in encoded where character != "\n" {
      switch (character, count) {
      case ("(", _): count = 0
      case (")", let run?): (base64, count) = (base64 + String(repeating: "A", count: run), nil)
      case (_, let run?): count = run * 10 + (character.wholeNumberValue ?? 0)
      default: base64.append(character)
      }
    }
    return Data(base64Encoded: base64).map(Array.init) ?? []
  }

  private static let encoded = """
    iUhERg0KGgoDCAg(11)D//////////w4b(8)M(10)11MkAT0hEUgIAeBAQAAA2AQAAAAAAADQ(9)CgIAAQAABhgAAAEIAQRz
    b2Z0DgAvdGVuc29ycy9wbGFpbgYbAAABCEAIZXh0ZXJuYWwNAABvdGhlci5oNQAveAAGDwAAAQgBBGxvb3AFAC9sb29wAAw(
    18)Cx2CQhPSERSAgB4AhIAAAAA/////////////////////woCAAEAABAQAADuBgAAAAAAAFs(9)BhUAAAEACmJpZ19lbmRp
    YW52Ag(8)YPAAABAARoYWxmggM(8)GEgAAAQAHb3V0c2lkZY4E(10)IAAAAAnFBjek9DSEsQEAAAqAc(8)0(10)YSAAABAAd
    0ZW5zb3Jzsw(11)MyCQo1PSERSAgEAAQEUAAACAQEBB(10)E(10)MUAAERIB8ABAAAAAAAIAAXCAAXfwAAAAUCAAEDCggSAA
    ADAQAI(8)E(11)s(238)cxLr2T0hEUgIBAAEBFAAAAgEBAQQ(9)B(10)DFAABESEfAAQAAAAAACAAFwgAF38AAAAFAgABAwo
    IEgAAAwEQC(8)B(11)L(238)K8FVNE9IRFICAQABARQAAAIBAQEE(10)Q(10)xQAAREgDwACAAAAAAAQAAoFAAoPAAAABQIA
    AQMKCBIAAAMBIAg(8)I(10)Cw(237)FKvZ2ZPSERSAgEAAQEUAAACAQEBB(10)E(10)MUAAERIB8ABAAAAAAAIAAXCAAXfwA
    AAAUCAAEDCgcoAAEBAAAAAQABAJoF(8)C(20)B(10)CBIAAAMB//////////8Q(10)CE(178)DAcKG/SEVBUAAAAAAY(10)E
    (9)ugU(18)HZhbHVlcy5yYXcAAAAAAABPSERSAiGRiQRrkYkEa5GJBGuRiQRrAAEBFAAAAgEBAQQ(9)B(10)DFAABESAfAAQ
    AAAAAACAAFwgAF38AAAAFAgABAwsIDgAABAMoC(9)EAAAAAt(243)agcmbE9DSEsQEAAAfAc(8)s(10)YSAAABAAd2aXJ0dW
    Fs0gU(8)GEAAAAQAFZW1wdHkoG(9)YRAAABAAZjbGFpbXM0GQAAAAAAAG++VjpPSERSAiCRiQRrkYkEa5GJBGuRiQRrGAMUA
    AURIB8ABAAAAAAAIAAXCAAXfwAAAPj9G51PQ0hLBhAAAAEABXBsYWluagE(8)GDAAAAQABdEkH(8)kOb7BU9DSEsQEAAAQBo
    AAAAAAADO(9)BUSAAQAAP////////////////////8AAAXtGSc(55)CAPwAAAEAAAEBAAAAAAD+AAABAAAAAQEAAAAAAADwA
    QABCR0NPTAEAAAAAE(9)E(9)S(12)Q(8)BvdGhlci5oNQB4AAMAAAAB(15)CAAAAAQ(9)QAAAAAQAAAAE(10)wAAAGSBLWgC
    (10)M(9)7ZWc(17)IAP(5277)E9IRFICAQABAQQAAAIAAAIDFAABESAfAAQAAAAAACAAFwgAF38AAAAFAgABAwoIEgAAAwH/
    /////////w(11)M(259)HM/gSxPSERSAgEAAQEUAAACAQEBAAAAAAAB(10)EAAAMUAAERIB8ABAAAAAAAIAAXCAAXfwAAAAU
    CAAEDCwgTAAAEAgACAgAEBAADCv//////////AK8(235)COO5L8T0NISwISAAAAAP////////////////////8MOgAAAwAJA
    BQABAAAdmFyaWFibGUAGQEBABAAAAAQAAAAAQAAAAAACAACAAAAAwAAACgI(9)gAAAAwjAAADAAYADAAEAABpbnQzMgAQCAA
    ABAAAAAAAIAACAAAAAwAAAAxHAAADAAYADAAUAABhcnJheQAQCAAACAAAAAAAQAACAQEBAw(9)D(21)Q(9)C(10)4/EHU=
    """
}
