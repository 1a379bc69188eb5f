import AppExample
import Foundation
import XCTest

@testable import Aldis

final class PhoneTests: XCTestCase {
    // One for each test: what a phone of another test still does in the background touches none of this one.
    private var server: TestServer!

    override func setUp() { server = TestServer() }

    override func tearDown() { server = nil }

    private func refusal(_ phone: Phone) async throws -> RegisterError {
        do {
            try await phone.register()
        } catch let error as RegisterError {
            return error
        }
        throw Unexpected()
    }

    private func sendError(_ call: () async throws -> Void) async throws -> SendError {
        do {
            try await call()
        } catch let error as SendError {
            return error
        }
        throw Unexpected()
    }

    private struct Unexpected: Error {}

    private actor Seen {
        var all: [String] = []
        func add(_ text: String?) { all.append(text ?? "") }
    }

    func testAPhoneRegistersAndSaysHowTheServerProvedItself() async throws {
        let phone = try server.phone("alice")
        let registered = try await phone.register()
        XCTAssert((1...3600).contains(registered.expiresIn))
        var found: Connected?
        for await case .connection(.connected(let facts), _) in phone.events {
            found = facts
            break
        }
        XCTAssertEqual(found?.reference, "example.test")
        XCTAssertEqual(found?.address, server["registrar"])
        await phone.shutDown()
        XCTAssertEqual(server.ask("bindings alice"), "0")
    }

    func testAWrongPasswordAsksForCredentialsAndTheRightOneHelps() async throws {
        let phone = try server.phone("alice", password: "guess")
        let error = try await refusal(phone)
        XCTAssert(error.needsCredentials())
        XCTAssertFalse(error.willRetry())
        guard case .Refused(.credentials(.rejected), _, _, _) = error else { return XCTFail("\(error)") }
        phone.setCredentials(user: "alice", password: "wonderland")
        try await phone.register()
        await phone.shutDown()
    }

    func testAnUntrustedServerGetsNoByteAndTheVerdictSaysWhy() async throws {
        let phone = try server.phone("alice", at: "impostor")
        let error = try await refusal(phone)
        XCTAssert(error.willRetry())
        XCTAssertFalse(error.needsCredentials())
        let verdict = try XCTUnwrap(error.verdict())
        XCTAssertEqual(verdict.reference, "example.test")
        XCTAssertEqual(verdict.address, server["impostor"])
        let finding = try XCTUnwrap(verdict.findings.first)
        XCTAssert(finding.expected.contains("example.test"), finding.expected)
        XCTAssert(finding.found.contains("other.test"), finding.found)
        XCTAssertEqual(finding.field, "subjectAltName")
        XCTAssertEqual(finding.certificate?.sha256.count, 64)
        XCTAssertFalse(finding.advice.isEmpty)
        XCTAssertEqual(server.ask("impostor-bytes"), "0")
    }

    func testEveryRefusalArrivesAsItsOwnCase() async throws {
        func failure(_ ask: String) async throws -> RegisterError {
            XCTAssertEqual(server.ask(ask), "ok")
            defer { server.ask("clear") }
            return try await refusal(server.phone("alice"))
        }
        func check(_ error: RegisterError, _ isExpected: (RegistrationFailure) -> Bool, line: UInt = #line) {
            guard case .Refused(let failure, _, _, _) = error, isExpected(failure) else {
                return XCTFail("\(error)", line: line)
            }
        }
        check(try await failure("fault register 403")) { if case .forbidden = $0 { true } else { false } }
        check(try await failure("fault register 404")) { if case .unknownUser = $0 { true } else { false } }
        check(try await failure("fault register 423")) { $0 == .interval }
        let unavailable = try await failure("fault register 503 30")
        check(unavailable) { if case .unavailable(503, _) = $0 { true } else { false } }
        XCTAssert(unavailable.willRetry())
        check(try await failure("without-binding")) { $0 == .noBinding }
        check(try await failure("loop")) { $0 == .credentials(problem: .loop) }
        let missing = try await refusal(Phone(server.config("alice")))
        check(missing) { if case .credentials(.missing) = $0 { true } else { false } }
        let unreachable = try await refusal(server.phone("alice", at: "closed"))
        guard case .NoConnection(.unreachable, _) = unreachable else { return XCTFail("\(unreachable)") }
        XCTAssertNil(unreachable.verdict())
        let ended = try server.phone("alice")
        await ended.shutDown()
        await ended.shutDown()
        let afterwards = try await refusal(ended)
        XCTAssertEqual(afterwards, .ShutDown)
        let unsent = try await sendError { _ = try await ended.send("late", to: "sip:bob@example.test") }
        XCTAssertEqual(unsent, .ShutDown)
        for await _ in ended.messages { XCTFail("nothing came") }
    }

    func testWhatCannotStartSaysWhichPartIsWrong() throws {
        func error(_ config: PhoneConfig) throws -> StartError {
            do {
                _ = try Phone(config)
            } catch let error as StartError {
                return error
            }
            throw Unexpected()
        }
        guard case .AddressOfRecord = try error(PhoneConfig(addressOfRecord: "alice")) else { return XCTFail() }
        let own = "sip:alice@example.test"
        guard case .Address = try error(PhoneConfig(addressOfRecord: own, addresses: ["x"])) else { return XCTFail() }
        guard case .Instance = try error(PhoneConfig(addressOfRecord: own, instance: "7")) else { return XCTFail() }
        let range = try error(PhoneConfig(addressOfRecord: own, expires: 0))
        guard case .Range = range else { return XCTFail() }
        XCTAssert(range.localizedDescription.contains("must be from"), range.localizedDescription)
        guard case .Roots = try error(PhoneConfig(addressOfRecord: own, trust: TrustConfig(onlyRoots: "x"))) else {
            return XCTFail()
        }
        guard case .Pin = try error(PhoneConfig(addressOfRecord: own, trust: TrustConfig(pins: ["x"]))) else {
            return XCTFail()
        }
        let keyless = TrustConfig(clientCertificates: server.clientCertificates)
        guard case .ClientCertificate = try error(PhoneConfig(addressOfRecord: own, trust: keyless)) else {
            return XCTFail()
        }
        XCTAssertThrowsError(try Phone(server.config("alice")) { _ in throw Unexpected() }) { error in
            guard case StartError.Secrets = error else { return XCTFail("\(error)") }
        }
    }

    func testMessagesAreSentAndReceived() async throws {
        let (alice, bob) = (try server.phone("alice"), try server.phone("bob"))
        try await bob.register()
        let state = try await alice.send("Grüße, Bob ☎", to: "sip:bob@example.test")
        guard case .accepted = state else { return XCTFail("\(state)") }
        let latin = try await alice.send(
            Data([0x63, 0xe9]), contentType: "text/plain;charset=iso-8859-1", to: "sip:bob@example.test")
        XCTAssert(latin.isFinal())
        var messages = bob.messages.makeAsyncIterator()
        let first = await messages.next()
        XCTAssertEqual(first?.text, "Grüße, Bob ☎")
        XCTAssertEqual(first?.from, "sip:alice@example.test")
        let second = await messages.next()
        XCTAssertEqual(second?.text, "cé")
        let absent = try await alice.send("x", to: "sip:nobody@example.test")
        guard case .failed(.rejected, _, _) = absent else { return XCTFail("\(absent)") }
        let recipient = try await sendError { _ = try await alice.send("x", to: "bob") }
        XCTAssertEqual(recipient, .Recipient(to: "bob"))
        let large = String(repeating: "x", count: 9000)
        guard case .TooLarge = try await sendError({ _ = try await alice.send(large, to: "sip:bob@example.test") }) else {
            return XCTFail()
        }
        await alice.shutDown()
        await bob.shutDown()
    }

    func testWhoTypesIsSeenByTheOtherAndReceiptsComeWhenAskedFor() async throws {
        let (alice, bob) = (try server.phone("alice"), try server.phone("bob"))
        try await bob.register()
        try await alice.register()
        let recipient = try await sendError { try alice.composing(to: "bob") }
        XCTAssertEqual(recipient, .Recipient(to: "bob"))
        try alice.composing(to: "sip:bob@example.test")
        for await case .composing(let from, let active) in bob.events {
            XCTAssertEqual(from, "sip:alice@example.test")
            XCTAssert(active)
            break
        }
        let sent = try await alice.send("with a receipt", to: "sip:bob@example.test", receipts: true)
        switch sent {
        case .accepted(_, receipts: true): for await case .outgoing(_, _, .delivered) in alice.events { break }
        case .delivered: break
        default: XCTFail("\(sent)")
        }
        let plain = try await alice.send("without", to: "sip:bob@example.test")
        guard case .accepted(_, receipts: false) = plain else { return XCTFail("\(plain)") }
        await alice.shutDown()
        await bob.shutDown()
    }

    func testANewNetworkReplacesTheConnection() async throws {
        let phone = try server.phone("alice")
        try await phone.register()
        phone.networkChanged(dnsServers: ["127.0.0.1", "[fe80::1%1]:53", "none"])
        // The one from before, and the new one.
        for _ in 1...2 { for await case .connection(.connected, _) in phone.events { break } }
        for await case .registration(.registered, _) in phone.events { break }
        await phone.shutDown()
    }

    func testAPushMakesAPhoneRegisterAnewAtOnce() async throws {
        let phone = try server.phone("alice")
        try await phone.register()
        phone.enterBackground()
        phone.wake()
        phone.enterForeground()
        // The first, and the one that the push led to.
        for _ in 1...2 { for await case .registration(.registered, _) in phone.events { break } }
        await phone.shutDown()
        phone.wake()
    }

    func testPushTokensAndSubscriptionsAreToldOf() async throws {
        let phone = try server.phone("alice")
        XCTAssertThrowsError(try phone.setPush(provider: "apns", token: "a\nb")) {
            guard case ReachError.Push = $0 else { return XCTFail("\($0)") }
        }
        XCTAssertThrowsError(try phone.setToken("a b", realm: "example.test")) {
            guard case ReachError.Token = $0 else { return XCTFail("\($0)") }
        }
        try phone.setPush(provider: "apns", token: "00fc13adff78512", parameter: "DEF123GHIJ.example.voip")
        try await phone.register()
        // A registrar without push promises none.
        for await case .push(let state, _) in phone.events {
            guard case .notPromised = state else { return XCTFail("\(state)") }
            break
        }
        server.ask("voicemail alice 2")
        for await case .messagesWaiting(let summary) in phone.events {
            XCTAssert(summary.waiting)
            XCTAssertEqual(summary.counts.map(\.kind), ["Voice-Message"])
            XCTAssertEqual(summary.counts.map(\.newMessages), [2])
            break
        }
        phone.clearPush()
        await phone.shutDown()
    }

    func testTheExampleOfAnAppIsWokenForAMessage() async throws {
        let (server, bob) = (server!, try server.phone("bob"))
        let app = try await MainActor.run {
            try AppPhone(
                account: "sip:alice@example.test", password: "wonderland", authority: server["root"],
                addresses: [server["registrar"]])
        }
        try await app.pushToken(Data([0, 0xff]), topic: "DEF123GHIJ.example")
        while server.ask("bindings alice") != "1" { try await Task.sleep(for: .milliseconds(5)) }
        let sending = Task { try await bob.send("Wake up", to: "sip:alice@example.test") }
        _ = await app.woken()
        _ = try await sending.value
        while await app.messages.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        let texts = await app.messages.map(\.text)
        XCTAssertEqual(texts, ["Wake up"])
        await app.phone.shutDown()
        await bob.shutDown()
    }

    func testAMessageThatWasNotHandledComesAgainAfterARestart() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let config = server.config("alice", store: folder.appendingPathComponent("alice.db").path)
        let (bob, before) = (try server.phone("bob"), try Phone(config) { _ in "wonderland" })
        try await before.register()
        for text in ["one", "two"] { _ = try await bob.send(text, to: "sip:alice@example.test") }
        var reader = before.messages.makeAsyncIterator()
        let first = await reader.next()
        XCTAssertEqual(first?.text, "one")
        // Asking for the next acknowledges the first; the second is on the screen when it ends.
        let second = await reader.next()
        XCTAssertEqual(second?.text, "two")
        await before.shutDown()

        let alice = try Phone(config) { _ in "wonderland" }
        var again = alice.messages.makeAsyncIterator()
        let repeated = await again.next()
        XCTAssertEqual(repeated?.text, "two")
        let page = try await alice.history(with: "sip:bob@example.test", limit: 1)
        guard case .received(let incoming) = page.first?.said else { return XCTFail("\(page)") }
        XCTAssertEqual(incoming.text, "two")
        let unread = try await alice.conversations().map(\.unread)
        XCTAssertEqual(unread, [2])
        try await alice.markRead("sip:bob@example.test", upTo: page[0].sequence)
        let deleted = try await alice.deleteConversation("sip:bob@example.test")
        XCTAssertEqual(deleted, 2)
        await alice.shutDown()
        await bob.shutDown()
        XCTAssertThrowsError(try Phone(server.config("alice", store: folder.path))) {
            guard case StartError.Storage = $0 else { return XCTFail("\($0)") }
        }
    }

    func testTenThousandEventsUnderCancelledReadersComeOnceEachAndInOrder() async throws {
        let count = 10_000
        let (phone, server, seen) = (try server.phone("alice"), server!, Seen())
        try await phone.register()
        // As many as a phone keeps for a slow reader; of more it lets the oldest go.
        let atOnce = 1000
        var asked = 0
        var cancelled = 0
        while await seen.all.count < count {
            if await seen.all.count == asked {
                server.ask("notify alice \(asked + 1) \(asked + atOnce)")
                asked += atOnce
            }
            let reader = Task {
                for await event in phone.events {
                    if case .notify(_, _, let body) = event { await seen.add(String(decoding: body, as: UTF8.self)) }
                }
            }
            // Sooner and later, so that it is cancelled at every moment of a reading.
            for _ in 0..<cancelled % 50 { await Task.yield() }
            if cancelled % 10 == 0 { try await Task.sleep(for: .milliseconds(1)) }
            reader.cancel()
            await reader.value
            cancelled += 1
        }
        let all = await seen.all
        XCTAssertEqual(all, (1...count).map(String.init))
        print("\(count) events under \(cancelled) cancelled readers")
        await phone.shutDown()
    }

    func testMessagesUnderCancelledReadersComeOnceEachAndInOrder() async throws {
        let (alice, bob, seen) = (try server.phone("alice"), try server.phone("bob"), Seen())
        try await bob.register()
        let sender = Task { for number in 0..<200 { _ = try await alice.send("\(number)", to: "sip:bob@example.test") } }
        while await seen.all.count < 200 {
            let reader = Task { for await message in bob.messages { await seen.add(message.text) } }
            try await Task.sleep(for: .milliseconds(2))
            reader.cancel()
            await reader.value
        }
        try await sender.value
        let all = await seen.all
        XCTAssertEqual(all, (0..<200).map(String.init))
        await alice.shutDown()
        await bob.shutDown()
    }

    func testCancellingEndsEveryCallThatWaits() async throws {
        server.ask("silence")
        let phone = try server.phone("alice")
        let calls: [@Sendable () async throws -> Void] = [
            { try await phone.register() },
            { _ = try await phone.send("x", to: "sip:bob@example.test") },
            { for await _ in phone.messages {} },
        ]
        for call in calls {
            let task = Task { try await call() }
            try await Task.sleep(for: .milliseconds(20))
            let began = ContinuousClock.now
            task.cancel()
            if case .failure(let error) = await task.result { XCTAssert(error is CancellationError, "\(error)") }
            // Without the cancellation each would wait for half a minute at least.
            XCTAssertLessThan(ContinuousClock.now - began, .seconds(15))
        }
    }

    func testShuttingDownEndsCallsThatWait() async throws {
        let phone = try server.phone("alice")
        let reader = Task { for await _ in phone.messages {} }
        try await Task.sleep(for: .milliseconds(10))
        await phone.shutDown()
        await reader.value
    }

    func testAKeyThatStaysInItsKeystoreSignsForTheClientCertificate() async throws {
        final class Keystore: ClientKey {
            let server: TestServer
            init(_ server: TestServer) { self.server = server }
            func supports(method: SignatureMethod) -> Bool { method == .ecdsaP256Sha256 }
            func sign(bytes: Data, method: SignatureMethod) -> Data {
                let answer = server.ask("sign " + bytes.map { String(format: "%02x", $0) }.joined())
                let digits = Array(answer)
                return Data(stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! })
            }
        }
        final class Declining: ClientKey {
            func supports(method: SignatureMethod) -> Bool { true }
            func sign(bytes: Data, method: SignatureMethod) throws -> Data { throw KeyError.Declined }
        }
        let config = server.config("alice", at: "vault", roots: "vault-root", certificates: server.clientCertificates)
        let phone = try Phone(config, key: Keystore(server!))
        phone.startRegistering()
        for await case .connection(.connected, _) in phone.events { break }
        while server.ask("vault-clients") == "0" { try await Task.sleep(for: .milliseconds(5)) }
        guard case .NoConnection = try await refusal(Phone(config, key: Declining())) else { return XCTFail() }
    }

    func testNoPrintedFormAndNoLogShowsASecret() async throws {
        final class Lines: @unchecked Sendable {
            // Guards the text.
            private let lock = NSLock()
            private var text = ""
            func add(_ line: String) { lock.withLock { text += line + "\n" } }
            var all: String { lock.withLock { text } }
        }
        let lines = Lines()
        Log.to(.trace) { _, target, line in lines.add("\(target) \(line)") }
        let phone = try server.phone("alice")
        try phone.setToken("bearer-3f8a", realm: "example.test")
        try await phone.register()
        _ = try await phone.send("a secret word", to: "sip:nobody@example.test")
        await phone.shutDown()
        Log.off()
        var printed = lines.all
        XCTAssertFalse(printed.isEmpty)
        for await event in phone.events { dump(event, to: &printed) }
        dump(phone, to: &printed)
        dump(server.config("alice"), to: &printed)
        for secret in ["wonderland", "secret word", "bearer-3f8a"] { XCTAssertFalse(printed.contains(secret)) }
    }

    func testAThousandPhonesLeaveNothingBehind() async throws {
        func resident() throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = try XCTUnwrap(status.split(separator: "\n").first { $0.hasPrefix("VmRSS") })
            return Int(line.filter(\.isNumber)) ?? 0
        }
        func after(_ count: Int) async throws -> Int {
            for _ in 0..<count { try server.phone("alice").networkChanged() }
            // They end in the background: what is left is what stays for a while.
            var (least, unchanged) = (try resident(), 0)
            while unchanged < 5 {
                try await Task.sleep(for: .milliseconds(100))
                let now = try resident()
                unchanged = now < least ? 0 : unchanged + 1
                least = min(least, now)
            }
            return least
        }
        _ = try await after(1000)
        var sizes: [Int] = []
        for _ in 0...5 { sizes.append(try await after(200)) }
        let growth = zip(sizes, sizes.dropFirst()).map { $1 - $0 }.sorted()
        print("a thousand phones: \(sizes) kB after each 200")
        // What leaks does so in every round; an allocator that takes a new piece does so in one or two.
        XCTAssertLessThan(growth[growth.count / 2], 200 * 4, "\(sizes) kB: more than 4 kB a phone")
    }

    func testManyTasksUseOnePhoneAtOnce() async throws {
        let (alice, bob) = (try server.phone("alice"), try server.phone("bob"))
        try await bob.register()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<10 {
                        let state = try await alice.send("\(task).\(number)", to: "sip:bob@example.test")
                        guard case .accepted = state else { throw Unexpected() }
                    }
                }
            }
            try await group.waitForAll()
        }
        var texts = Set<String>()
        for await message in bob.messages {
            texts.insert(message.text ?? "")
            if texts.count == 80 { break }
        }
        await alice.shutDown()
        await bob.shutDown()
    }

    func testACallCostsLessThanAMicrosecond() throws {
        let phone = try server.phone("alice")
        // The fastest round counts: other programs slow the others down.
        func cost(atMost limit: Double = .infinity, _ call: () -> Void) -> Double {
            let end = ContinuousClock.now + .seconds(30)
            var (best, rounds) = (Double.infinity, 0)
            while rounds < 200 || best >= limit && ContinuousClock.now < end {
                let began = DispatchTime.now().uptimeNanoseconds
                for _ in 0..<500 { call() }
                best = min(best, Double(DispatchTime.now().uptimeNanoseconds - began) / 500)
                rounds += 1
            }
            return best
        }
        let stop = StopSignal()
        let call = cost(atMost: 1000) { _ = stop.isStopped() }
        let command = cost { phone.networkChanged() }
        print("a call: \(call) ns, a command: \(command) ns")
        XCTAssertLessThan(call, 1000)
    }
}
