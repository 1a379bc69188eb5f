import Foundation
import XCTest

/// The example, as a program of its own.
final class ChatTests: XCTestCase {
    private var server: TestServer!

    override func setUp() { server = TestServer() }

    override func tearDown() { server = nil }

    /// The example, started; what it prints, and where to type.
    private final class Chat: @unchecked Sendable {
        let process = Process()
        private let (input, output) = (Pipe(), Pipe())
        private var heard = Data()

        init(_ own: String, to other: String, at address: String, roots: URL, password: String) throws {
            let package = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized
            process.executableURL = package.appendingPathComponent(".build/debug/chat")
            process.arguments = [own, other]
            process.environment = ["ALDIS_ADDRESS": address, "ALDIS_ROOTS": roots.path, "ALDIS_PASSWORD": password]
            process.standardInput = input
            process.standardOutput = output
            try process.run()
        }

        func type(_ text: String) { input.fileHandleForWriting.write(Data(text.utf8)) }

        func waitFor(_ words: String, line: UInt = #line) {
            let wanted = Data("\(words)\n".utf8)
            while true {
                if let found = heard.range(of: wanted) {
                    heard = Data(heard[found.upperBound...])
                    return
                }
                let more = output.fileHandleForReading.availableData
                if more.isEmpty { return XCTFail("no \(words): " + String(decoding: heard, as: UTF8.self), line: line) }
                heard += more
            }
        }

        func finish(_ last: String) throws -> (Int32, String) {
            type(last)
            try input.fileHandleForWriting.close()
            let said = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return (process.terminationStatus, String(decoding: said, as: UTF8.self))
        }
    }

    private func file(_ pem: String) throws -> URL {
        let roots = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).pem")
        try Data(pem.utf8).write(to: roots)
        addTeardownBlock { try? FileManager.default.removeItem(at: roots) }
        return roots
    }

    private func chat(at place: String, password: String, input: String) throws -> (Int32, String) {
        let (alice, roots) = ("sip:alice@example.test", try file(server["root"]))
        return try Chat(alice, to: alice, at: server[place], roots: roots, password: password).finish(input)
    }

    func testTwoPeopleTalkThroughKamailio() throws {
        let environment = ProcessInfo.processInfo.environment
        let place = try XCTUnwrap(environment["ALDIS_KAMAILIO"])
        let roots = try file(XCTUnwrap(environment["ALDIS_KAMAILIO_ROOT"]))
        let (alice, bob) = ("sip:alice@example.test", "sip:bob@example.test")
        let atAlice = try Chat(alice, to: bob, at: place, roots: roots, password: "wonderland")
        let atBob = try Chat(bob, to: alice, at: place, roots: roots, password: "builder")
        // Whoever waits for a line that never comes is freed by the end of the other side.
        let watch = Task {
            try await Task.sleep(for: .seconds(120))
            atAlice.process.terminate()
            atBob.process.terminate()
        }
        atAlice.waitFor("You are \(alice). Type to write to \(bob); end with an empty line.")
        atBob.waitFor("You are \(bob). Type to write to \(alice); end with an empty line.")
        atAlice.type("Hello, Bob\n")
        atBob.waitFor("\(alice): Hello, Bob")
        atAlice.waitFor("(delivered)")
        atBob.type("Grüße, Alice ☎\n")
        atAlice.waitFor("\(bob): Grüße, Alice ☎")
        XCTAssertEqual(try atAlice.finish("\n").0, 0)
        XCTAssertEqual(try atBob.finish("\n").0, 0)
        watch.cancel()
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
