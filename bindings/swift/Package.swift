// swift-tools-version: 6.0
// `bindings/build swift` puts the generated code and the library where this file looks for them. A release has an
// XCFramework (`bindings/build apple`) in the place of both: set ALDIS_XCFRAMEWORK to its path, relative to this folder.
import Foundation
import PackageDescription

let environment = ProcessInfo.processInfo.environment
let library = Context.packageDirectory + "/lib"

let native: Target
let linking: [LinkerSetting]
if let framework = environment["ALDIS_XCFRAMEWORK"] {
    native = .binaryTarget(name: "aldis_ffiFFI", path: framework)
    linking = []
} else {
    native = .target(name: "aldis_ffiFFI", path: "Sources/aldis_ffiFFI")
    linking = [
        .linkedLibrary("aldis_ffi"),
        .unsafeFlags(["-L\(library)", "-Xlinker", "-rpath", "-Xlinker", library]),
    ]
}

let package = Package(
    name: "Aldis",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Aldis", targets: ["Aldis"])],
    targets: [
        native,
        .target(name: "Aldis", dependencies: ["aldis_ffiFFI"], linkerSettings: linking),
        .executableTarget(name: "chat", dependencies: ["Aldis"]),
        .target(name: "AppExample", dependencies: ["Aldis"]),
        .testTarget(name: "AldisTests", dependencies: ["Aldis", "AppExample"]),
    ],
    swiftLanguageModes: [.v6]
)
