import Aldis
import Foundation

/// The embedded registrar as a program of its own; it ends when its standard input does.
final class TestServer: @unchecked Sendable {
    // Guards the dialogue.
    private let lock = NSLock()
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var unread = Data()
    private var facts: [String: String] = [:]

    init() {
        guard let program = ProcessInfo.processInfo.environment["ALDIS_TEST_SERVER"] else {
            fatalError("ALDIS_TEST_SERVER is not set")
        }
        process.executableURL = URL(fileURLWithPath: program)
        process.standardInput = input
        process.standardOutput = output
        try! process.run()
        while case let line = readLine(), line != "ready" {
            let parts = line.split(separator: " ", maxSplits: 1)
            facts[String(parts[0])] = parts[1].replacingOccurrences(of: "|", with: "\n")
        }
    }

    deinit { try? input.fileHandleForWriting.close() }

    private func readLine() -> String {
        while true {
            if let end = unread.firstIndex(of: 10) {
                defer { unread = Data(unread[(end + 1)...]) }
                return String(decoding: unread[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { fatalError("the test server ended") }
            unread += more
        }
    }

    subscript(name: String) -> String { facts[name]! }

    /// Asks the server for something and returns its answer.
    @discardableResult
    func ask(_ line: String) -> String {
        lock.withLock {
            input.fileHandleForWriting.write(Data((line + "\n").utf8))
            return readLine()
        }
    }

    /// The client's certificates, DER each.
    var clientCertificates: [Data] {
        self["client-certificate"].components(separatedBy: "-----END CERTIFICATE-----").compactMap { block in
            let lines = block.split(separator: "\n").filter { !$0.hasPrefix("-----") }
            return lines.isEmpty ? nil : Data(base64Encoded: lines.joined())
        }
    }

    func config(
        _ user: String, at place: String = "registrar", roots: String = "root", certificates: [Data] = [],
        addresses: [String]? = nil, proxies: [String] = [], flows: UInt32? = nil, maxBody: UInt32? = nil,
        deliveryReceipts: Bool = true, displayReceipts: Bool = false, timing: Timing? = nil, store: String? = nil,
        shared: Bool = false
    ) -> PhoneConfig {
        PhoneConfig(
            addressOfRecord: "sip:\(user)@example.test", proxy: proxies.first, moreProxies: Array(proxies.dropFirst()),
            flows: flows, addresses: addresses ?? [self[place]],
            trust: TrustConfig(onlyRoots: self[roots], clientCertificates: certificates), maxBody: maxBody,
            sendDeliveryReceipts: deliveryReceipts, sendDisplayReceipts: displayReceipts, timing: timing, storeFile: store,
            sharedStore: shared)
    }

    /// A phone of this configuration, with its user's password.
    func phone(_ config: PhoneConfig) throws -> Phone {
        let password = config.addressOfRecord.contains("bob") ? "builder" : "wonderland"
        return try Phone(config) { _ in password }
    }

    func phone(_ user: String, password: String? = nil, at place: String = "registrar") throws -> Phone {
        let password = password ?? (user == "bob" ? "builder" : "wonderland")
        return try Phone(config(user, at: place)) { _ in password }
    }
}
