import Foundation
import XCTest

@testable import Aldis

/// What the store keeps, receipts, and how messages fail.
final class HistoryTests: XCTestCase {
    private var server: TestServer!
    private var folder: URL!
    private let bobs = "sip:bob@example.test"

    override func setUpWithError() throws {
        server = TestServer()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDown() {
        server = nil
        try? FileManager.default.removeItem(at: folder)
    }

    private func kept(_ user: String) -> PhoneConfig {
        server.config(user, store: folder.appendingPathComponent("\(user).db").path)
    }

    private func text(_ entry: HistoryEntry) -> String? {
        switch entry.said {
        case .received(let incoming): incoming.text
        case .sent(_, _, _, _, let text, _, _, _, _): text
        }
    }

    private struct Ended: Error {}

    /// The next state of a message that is wanted.
    private func state(
        _ phone: Phone, _ id: String, isWanted: (OutgoingState) -> Bool = { $0.isFinal() }
    ) async throws -> OutgoingState {
        for await case .outgoing(id, _, let state) in phone.events where isWanted(state) { return state }
        throw Ended()
    }

    private func failure(_ state: OutgoingState) throws -> MessageFailure {
        guard case .failed(let failure, _, _) = state else { throw Ended() }
        return failure
    }

    private func message(_ phone: Phone) async throws -> IncomingMessage {
        for await message in phone.messages { return message }
        throw Ended()
    }

    func testAMessageThatWasShownIsToldToItsSenderIfTheUserConsents() async throws {
        let consenting = server.config("bob", displayReceipts: true)
        let (alice, bob) = (try server.phone("alice"), try server.phone(consenting))
        try await bob.register()
        try await alice.register()
        let id = try await alice.enqueue("look", to: bobs, receipts: true)
        let message = try await self.message(bob)
        XCTAssert(message.wantsDisplayReceipt)
        try await bob.displayed(message)
        try await bob.displayed(message)
        _ = try await state(alice, id) { $0 == .displayed }
        await alice.shutDown()
        await bob.shutDown()
    }

    func testWhatWasSaidIsFoundAndDeleted() async throws {
        let (alice, bob) = (try server.phone(kept("alice")), try server.phone("bob"))
        try await bob.register()
        for text in ["Grüße aus Köln", "bis morgen"] { _ = try await alice.send(text, to: bobs) }
        let found = try await alice.search("KOLN gru").map(text)
        XCTAssertEqual(found, ["Grüße aus Köln"])
        let others = try await alice.search("köln", with: "sip:carol@example.test")
        XCTAssert(others.isEmpty)
        let page = try await alice.history(with: bobs)
        XCTAssertEqual(page.map(text), ["bis morgen", "Grüße aus Köln"])
        let older = try await alice.history(with: bobs, before: page[0].sequence)
        XCTAssertEqual(older, [page[1]])
        let isDeleted = try await alice.deleteMessage(page[0].sequence)
        let isDeletedAgain = try await alice.deleteMessage(page[0].sequence)
        XCTAssert(isDeleted && !isDeletedAgain)
        let left = try await alice.history(with: bobs)
        XCTAssertEqual(left, [page[1]])
        await alice.shutDown()
        await bob.shutDown()
    }

    func testAMessageThatFailedCanBeSentAgainAsTheSame() async throws {
        let (alice, bob) = (try server.phone(kept("alice")), try server.phone("bob"))
        try await bob.register()
        server.ask("fault message 603")
        let id = try await alice.enqueue("once more", to: bobs)
        guard case .declined = try failure(try await state(alice, id)) else { return XCTFail() }
        server.ask("clear")
        let isTaken = try await alice.sendAgain(id)
        XCTAssert(isTaken)
        guard case .accepted = try await state(alice, id) else { return XCTFail() }
        let message = try await self.message(bob)
        XCTAssertEqual(message.id, id)
        for needless in [id, "nothing of the kind"] {
            let isTaken = try await alice.sendAgain(needless)
            XCTAssertFalse(isTaken)
        }
        await alice.shutDown()
        await bob.shutDown()
    }

    func testWhileTheStoreIsLetGoMessagesStayWithTheirSenders() async throws {
        let (alice, bob) = (try server.phone("alice"), try server.phone(kept("bob")))
        try await bob.register()
        try await bob.suspendStore()
        let refused = try failure(try await alice.send("now?", to: bobs))
        guard case .rejected(480, _, _) = refused else { return XCTFail("\(refused)") }
        do {
            _ = try await bob.send("no", to: "sip:alice@example.test")
            XCTFail("it was taken")
        } catch SendError.Storage {}
        try await bob.resumeStore()
        guard case .accepted = try await alice.send("now", to: bobs) else { return XCTFail() }
        let message = try await self.message(bob)
        XCTAssertEqual(message.text, "now")
        await alice.shutDown()
        await bob.shutDown()
    }

    func testWhatAnExtensionSendsWhileTheAppIsSuspendedTheAppIsToldOf() async throws {
        let file = folder.appendingPathComponent("alice.db").path
        let alice = try server.phone(server.config("alice", addresses: ["127.0.0.1:9"], store: file, shared: true))
        let id = try await alice.enqueue("is there anybody?", to: "sip:nobody@example.test")
        try await alice.suspendStore()
        let other = try server.phone(server.config("alice", store: file, shared: true))
        try await other.register()
        guard case .rejected(404, _, _) = try failure(try await state(other, id)) else { return XCTFail() }
        await other.shutDown()
        try await alice.resumeStore()
        let told = try failure(try await state(alice, id))
        guard case .elsewhere(let explanation) = told, explanation.contains("404") else { return XCTFail("\(told)") }
        await alice.shutDown()
    }

    func testADamagedStoreIsSetAsideAndToldOf() async throws {
        let config = kept("alice")
        try "no database".write(toFile: XCTUnwrap(config.storeFile), atomically: true, encoding: .utf8)
        let alice = try server.phone(config)
        for await case .storage(let explanation, let advice) in alice.events {
            XCTAssert(explanation.contains("damaged") && !advice.isEmpty, explanation)
            break
        }
        let conversations = try await alice.conversations()
        XCTAssert(conversations.isEmpty)
        await alice.shutDown()
    }

    func testATypeThatTheRecipientDoesNotTakeIsToldWithThoseThatItTakes() async throws {
        let alice = try server.phone("alice")
        server.ask("fault message 415 accept application/json")
        let failure = try self.failure(try await alice.send("x", to: bobs))
        guard case .contentType(["application/json"], _) = failure else { return XCTFail("\(failure)") }
        await alice.shutDown()
    }

    func testAReceiptCanSayThatAMessageDidNotArrive() async throws {
        let silent = server.config("bob", deliveryReceipts: false)
        let (alice, bob) = (try server.phone("alice"), try server.phone(silent))
        try await bob.register()
        try await alice.register()
        let id = try await alice.enqueue("lost", to: bobs, receipts: true)
        _ = try await state(alice, id) { if case .accepted = $0 { true } else { false } }
        server.ask("receipt alice bob \(id) failed")
        let lost = try await state(alice, id) { if case .failed = $0 { true } else { false } }
        XCTAssertEqual(try failure(lost), .notDelivered)
        await alice.shutDown()
        await bob.shutDown()
    }

    func testAFileIsReadAndOneThatLiesElsewhereIsLinked() async throws {
        let (alice, bob) = (try server.phone("alice"), try server.phone("bob"))
        try await bob.register()
        _ = try await alice.send(Data([1, 2, 3]), contentType: "image/png", to: bobs)
        let linked = LinkedContent(
            url: "https://files.example.test/a.png", contentType: "image/png", expires: 4_000_000_000, size: 3)
        let body = try linkContent(linked: linked)
        _ = try await alice.send(body.bytes, contentType: body.contentType, to: bobs)
        var pieces: [Piece] = []
        for await message in bob.messages {
            pieces += message.pieces
            if pieces.count == 2 { break }
        }
        guard case .file(_, _, let bytes) = pieces[0] else { return XCTFail("\(pieces)") }
        XCTAssertEqual(bytes, Data([1, 2, 3]))
        XCTAssertEqual(pieces[1], .elsewhere(linked: linked))
        let endless = LinkedContent(url: linked.url, contentType: linked.contentType)
        XCTAssertThrowsError(try linkContent(linked: endless)) {
            guard case LinkError.Field = $0 else { return XCTFail("\($0)") }
        }
        await alice.shutDown()
        await bob.shutDown()

        let careful = try server.phone(server.config("alice", maxBody: 10))
        do {
            _ = try await careful.send("more than ten bytes", to: bobs)
            XCTFail("it was taken")
        } catch SendError.TooLarge {}
        await careful.shutDown()
    }
}
