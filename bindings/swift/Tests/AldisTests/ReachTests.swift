import Foundation
import XCTest

@testable import Aldis

/// Push, subscriptions, several connections.
final class ReachTests: XCTestCase {
    private var server: TestServer!

    override func setUp() { server = TestServer() }

    override func tearDown() { server = nil }

    private func generous(
        _ addresses: [String]? = nil, proxies: [String] = [], flows: UInt32? = nil
    ) -> PhoneConfig {
        server.config(
            "alice", at: "generous", roots: "generous-root", addresses: addresses, proxies: proxies, flows: flows)
    }

    /// The next state of push that is wanted.
    @discardableResult
    private func push(_ phone: Phone, isWanted: (PushState) -> Bool) async throws -> PushState {
        for await case .push(let state, _) in phone.events where isWanted(state) { return state }
        throw CancellationError()
    }

    private func subscription(_ phone: Phone, _ package: EventPackage, isWanted: (SubscriptionState) -> Bool) async {
        for await case .subscription(package, let state) in phone.events where isWanted(state) { return }
    }

    func testANetworkThatPushesIsAskedAndPromises() async throws {
        let phone = try server.phone(generous())
        try await phone.register()
        phone.queryPush()
        let offered = try await push(phone) { if case .offered = $0 { true } else { false } }
        guard case .offered(let providers) = offered else { return XCTFail("\(offered)") }
        XCTAssertEqual(Set(providers), ["apns", "fcm"])
        try phone.setPush(
            provider: "apns", token: "00fc13adff78512", parameter: "DEF123GHIJ.example.voip", wakesItself: true)
        let active = try await push(phone) { if case .active = $0 { true } else { false } }
        XCTAssertEqual(active, .active(refreshBefore: 120))
        phone.clearPush()
        try await push(phone) { $0 == .off }
        try phone.setPush(provider: "webpush", token: "ef7b1ee3-a9ba")
        try await push(phone) { $0 == .unsupported }
        await phone.shutDown()
    }

    func testWhatIsSubscribedToIsToldUntilItIsNot() async throws {
        let phone = try server.phone(generous())
        phone.subscribe(to: .messageSummary)
        try await phone.register()
        await subscription(phone, .messageSummary) { if case .active = $0 { true } else { false } }
        server.ask("generous summary alice 3")
        for await case .messagesWaiting(let summary) in phone.events where summary.waiting {
            XCTAssertEqual(summary.counts.map(\.kind), ["Voice-Message"])
            XCTAssertEqual(summary.counts.map(\.newMessages), [3])
            break
        }
        phone.unsubscribe(from: .messageSummary)
        phone.subscribe(to: .registration)
        await subscription(phone, .registration) { if case .active = $0 { true } else { false } }
        // The server takes requests in their order: it tells of the mailbox no more.
        server.ask("generous summary alice 5")
        server.ask("generous notify alice 1")
        events: for await event in phone.events {
            switch event {
            case .messagesWaiting(let summary): XCTFail("\(summary)")
            case .notify(_, _, let body) where body == Data("1".utf8): break events
            default: break
            }
        }
        await phone.shutDown()
    }

    func testAnAccountKeepsAsManyConnectionsAsItIsTold() async throws {
        let phone = try server.phone(generous([server["generous"], server["generous-second"]], flows: 2))
        try await phone.register()
        var missing: Set<UInt32> = [1, 2]
        for await case .registration(.registered, let flow) in phone.events {
            missing.remove(flow)
            if missing.isEmpty { break }
        }
        XCTAssertEqual(server.ask("generous bindings alice"), "2")
        await phone.shutDown()
        XCTAssertEqual(server.ask("generous bindings alice"), "0")
        XCTAssertThrowsError(try Phone(generous(flows: 5))) { guard case StartError.Range = $0 else { return XCTFail("\($0)") } }
    }

    func testEachProxyHasToProveItsOwnName() async throws {
        let places = ["generous", "generous-second"].map {
            server[$0].replacingOccurrences(of: "127.0.0.1", with: "localhost")
        }
        let phone = try server.phone(generous([], proxies: places))
        do {
            try await phone.register()
            XCTFail("it proved a name that it has not")
        } catch let error as RegisterError {
            let verdict = try XCTUnwrap(error.verdict())
            XCTAssertEqual(verdict.reference, "localhost")
            XCTAssert(verdict.findings[0].found.contains("example.test"), verdict.findings[0].found)
        }
        await phone.shutDown()
        XCTAssertThrowsError(try Phone(generous(proxies: [places[0], "no proxy"]))) { guard case StartError.Identity = $0 else { return XCTFail("\($0)") } }
    }

    func testWhatIsSetForAPhoneReachesIt() async throws {
        func timing(ping: TimeInterval) -> Timing {
            Timing(ping: ping, backgroundPing: 600, retryAllFailed: 30, retry: 90, retryAtMost: 1800)
        }
        let phone = try server.phone(server.config("alice", at: "closed", timing: timing(ping: 60)))
        do {
            try await phone.register()
            XCTFail("nobody is there")
        } catch RegisterError.NoConnection(_, let wait) {
            // A half to the whole of what was set.
            XCTAssert((15...60).contains(wait), "\(wait)")
        }
        await phone.shutDown()
        XCTAssertThrowsError(try Phone(server.config("alice", timing: timing(ping: 0)))) { guard case StartError.Range = $0 else { return XCTFail("\($0)") } }
    }
}
