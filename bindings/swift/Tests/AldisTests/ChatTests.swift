import Foundation
import XCTest

/// The example, as a program of its own.
final class ChatTests: XCTestCase {
    private var server: TestServer!

    override func setUp() { server = TestServer() }

    override func tearDown() { server = nil }

    private func chat(at place: String, password: String, input: String) throws -> (Int32, String) {
        let package = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized
        let roots = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).pem")
        try Data(server["root"].utf8).write(to: roots)
        defer { try? FileManager.default.removeItem(at: roots) }
        let (process, standardInput, output) = (Process(), Pipe(), Pipe())
        process.executableURL = package.appendingPathComponent(".build/debug/chat")
        process.arguments = ["sip:alice@example.test", "sip:alice@example.test"]
        process.environment = [
            "ALDIS_ADDRESS": server[place], "ALDIS_ROOTS": roots.path, "ALDIS_PASSWORD": password,
        ]
        process.standardInput = standardInput
        process.standardOutput = output
        try process.run()
        standardInput.fileHandleForWriting.write(Data(input.utf8))
        try standardInput.fileHandleForWriting.close()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: said, as: UTF8.self))
    }

    func testAMessageToOneselfComesBack() throws {
        let (status, said) = try chat(at: "registrar", password: "wonderland", input: "hello\n\n")
        XCTAssertEqual(status, 0, said)
        XCTAssert(said.contains("(delivered)") && said.contains("sip:alice@example.test: hello"), said)
    }

    func testAWrongPasswordIsTold() throws {
        let (status, said) = try chat(at: "registrar", password: "guess", input: "")
        XCTAssertEqual(status, 1, said)
        XCTAssert(said.contains("Check the user name and the password."), said)
    }

    func testAnUntrustedServerIsToldWithItsEvidence() throws {
        let (_, said) = try chat(at: "impostor", password: "wonderland", input: "\n")
        XCTAssert(said.contains("subjectAltName: expected") && said.contains("other.test"), said)
    }
}
