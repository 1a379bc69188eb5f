import Foundation

/// The user agent of one account.
///
/// ```swift
/// let phone = try Phone(PhoneConfig(addressOfRecord: "sip:alice@example.test")) { _ in "wonderland" }
/// try await phone.register()
/// _ = try await phone.send("Hello, Bob", to: "sip:bob@example.test")
/// for await message in phone.messages { print(message.from, message.text ?? "") }
/// ```
///
/// It may be used from any task. It connects when there is something to do; losing and regaining the connection,
/// refreshing and backing off are its own business, and ``events`` tell of them. Cancelling a task ends its call at once.
/// The phone ends with ``shutDown()``, or when nobody holds it any more.
public final class Phone: Sendable {
    private let native: NativePhone

    /// What happens, beside messages. Each event goes to one reader, in order; one that is cancelled before it has an
    /// event leaves it to the next. A new reader takes over from the one before, which then ends. Ends after
    /// ``shutDown()``, when all were read.
    public let events: Feed<Event>

    /// Messages that come; each was stored and answered. For readers it is as with ``events``, and independent of them. With
    /// `PhoneConfig.storeFile` a message is acknowledged when the reader asks for the next: one that an app was killed over
    /// comes again.
    public let messages: Feed<IncomingMessage>

    /// Starts a phone.
    ///
    /// - Parameters:
    ///   - config: who the user is and how the server is reached; it holds no secret
    ///   - key: signs for the client certificate in `config`, for servers that ask for one
    ///   - password: gives the password for the address of record, once, now; nil if ``setCredentials(user:password:)`` will
    /// - Throws: ``StartError`` if something in `config` cannot be used
    public init(
        _ config: PhoneConfig, key: (any ClientKey)? = nil,
        password: (@Sendable (_ addressOfRecord: String) throws -> String?)? = nil
    ) throws {
        let native = try NativePhone(config: config, secrets: password.map(Passwords.init), key: key)
        self.native = native
        events = Feed { after, stop in
            await native.nextEvent(after: after, until: stop).map { ($0.sequence, $0.event) }
        }
        messages = Feed { after, stop in
            await native.nextMessage(after: after, until: stop).map { ($0.sequence, $0.incoming) }
        }
    }

    /// Registers, and returns once the registrar holds this device, which from then on is reachable.
    ///
    /// - Throws: ``RegisterError`` if the first attempt fails; it says why (``RegisterError/needsCredentials()``,
    ///   ``RegisterError/verdict()``) and whether it is tried again by itself (``RegisterError/willRetry()``).
    ///   `CancellationError` if the task was cancelled; the phone goes on registering.
    @discardableResult
    public func register() async throws -> Registered {
        try await cancellable { stop in
            do {
                return try await self.native.registerAndWait(until: stop)
            } catch RegisterError.Stopped {
                return nil
            }
        }
    }

    /// States the intent to be registered and returns at once; ``events`` tell the rest.
    public func startRegistering() { native.register() }

    /// Removes this device from the registrar.
    public func unregister() { native.unregister() }

    /// Gives other credentials and tries again what was refused for the old ones.
    public func setCredentials(user: String, password: String) { native.setCredentials(user: user, password: password) }

    /// The system says that the network changed: the connection is replaced at once, and DNS is asked anew. The old one
    /// serves until the new one is registered, if it answers within 4 s. `dnsServers` are the network's: iOS resolves addresses
    /// for an app and nothing else, so that a domain's SRV records are looked up only with these. Call it before the first
    /// registration too.
    public func networkChanged(dnsServers: [String] = []) { native.networkChanged(dnsServers: dnsServers) }

    /// The app goes to the background: keep-alives come every 11 to 14 minutes, unless the server asks for more, so that the
    /// radio sleeps. Messages still come while the system lets the process run; the store's locks and files are let go within a
    /// second, which iOS demands of an app that is suspended, and taken again for what comes.
    public func enterBackground() { native.enterBackground() }

    /// The app comes to the front: connections that have been quiet are probed, and replaced if no answer comes within 4 s.
    public func enterForeground() { native.enterForeground() }

    /// A push woke the app, or it was given time to run: connections are probed, registrations refreshed, and nothing waits for
    /// its next attempt. What it leads to is known within 4 s, and told by ``events`` and ``messages``.
    public func wake() { native.wake() }

    /// Has the network wake this device by push from now on (RFC 8599); call it again for each new token of the service.
    /// ``Event/push(state:regId:)`` tells whether a proxy takes part. Call ``wake()`` for each push that comes.
    ///
    /// - Parameters:
    ///   - provider: the service: `apns`, `fcm`, `webpush` or another
    ///   - token: what the service gave this app on this device, in hexadecimal for apns
    ///   - parameter: by what the service knows the app: `Team.Bundle.service` for apns
    ///   - wakesItself: the system reliably wakes the app for a refresh, so that no push is needed before the registration
    ///     expires
    /// - Throws: ``ReachError`` if these make no registration; nothing has changed
    public func setPush(provider: String, token: String, parameter: String? = nil, wakesItself: Bool = false) throws {
        try native.setPush(provider: provider, token: token, parameter: parameter, wakesItself: wakesItself)
    }

    /// Has the network wake this device no more.
    public func clearPush() { native.clearPush() }

    /// Asks which push services the network supports, or whether it supports this one; ``Event/push(state:regId:)`` answers.
    public func queryPush(provider: String? = nil) { native.queryPush(provider: provider) }

    /// Gives an access token for a realm, as ``Event/tokenNeeded(realm:authorizationServer:scope:refused:)`` asks for it;
    /// what waited for it is tried again.
    ///
    /// - Throws: ``ReachError`` if it is none; nothing has changed
    public func setToken(_ token: String, realm: String) throws { try native.setToken(realm: realm, token: token) }

    /// Subscribes, while the account is registered; ``Event/subscription(package:state:)`` and
    /// ``Event/messagesWaiting(summary:)`` tell.
    public func subscribe(to package: EventPackage) { native.subscribe(package: package) }

    /// Ends a subscription.
    public func unsubscribe(from package: EventPackage) { native.unsubscribe(package: package) }

    /// The user types a message to `recipient`: call it at every keystroke. The recipient is told that somebody is writing,
    /// and 15 s after the last call that nobody is. What others type comes as ``Event/composing(from:active:)``.
    ///
    /// - Throws: `SendError.Recipient` if that is no address
    public func composing(to recipient: String) throws { try native.composing(to: recipient) }

    /// Sends a text and returns its final state: accepted, failed, or unknown, each with its reason. Cancelling ends the
    /// wait and does not take the message back.
    ///
    /// - Parameter receipts: asks the recipient's device to tell that it has the message and that it was shown; that comes
    ///   later, as ``Event/outgoing(id:to:state:)``
    /// - Throws: ``SendError`` if the message was not taken, and nothing of it was sent; `CancellationError`
    public func send(_ text: String, to recipient: String, receipts: Bool = false) async throws -> OutgoingState {
        try await cancellable {
            try await self.native.deliverText(to: recipient, text: text, receipts: receipts, until: $0)
        }
    }

    /// Sends any content, as ``send(_:to:receipts:)`` does.
    public func send(
        _ body: Data, contentType: String, to recipient: String, receipts: Bool = false
    ) async throws -> OutgoingState {
        try await cancellable {
            try await self.native.deliverContent(
                to: recipient, contentType: contentType, body: body, receipts: receipts, until: $0)
        }
    }

    /// Hands a text over and returns its identifier at once; its states come as ``Event/outgoing(id:to:state:)``.
    public func enqueue(_ text: String, to recipient: String, receipts: Bool = false) async throws -> String {
        try await native.sendText(to: recipient, text: text, receipts: receipts)
    }

    /// Hands any content over, as ``enqueue(_:to:receipts:)`` does.
    public func enqueue(
        _ body: Data, contentType: String, to recipient: String, receipts: Bool = false
    ) async throws -> String {
        try await native.sendContent(to: recipient, contentType: contentType, body: body, receipts: receipts)
    }

    /// Takes a message back: it fails if nothing of it was sent, else its fate is unknown.
    public func withdraw(_ id: String) throws { try native.withdraw(id: id) }

    /// Conversations whose newest message stands before `before`, newest first.
    ///
    /// - Throws: ``StorageError`` if the store cannot be read; so in all that follow
    public func conversations(before: UInt64? = nil, limit: Int = 50) async throws -> [Conversation] {
        try await native.conversations(before: before, limit: UInt32(limit))
    }

    /// Messages with `peer` that stand before `before`, newest first.
    public func history(with peer: String, before: UInt64? = nil, limit: Int = 50) async throws -> [HistoryEntry] {
        try await native.history(peer: peer, before: before, limit: UInt32(limit))
    }

    /// Messages before `before` that have every one of these words, newest first; `peer` narrows it to one conversation.
    public func search(
        _ words: String, with peer: String? = nil, before: UInt64? = nil, limit: Int = 50
    ) async throws -> [HistoryEntry] {
        try await native.search(words: words, peer: peer, before: before, limit: UInt32(limit))
    }

    /// The user has seen the conversation up to that place: it counts as read.
    public func markRead(_ peer: String, upTo sequence: UInt64) async throws {
        try await native.markRead(peer: peer, upTo: sequence)
    }

    /// The user has seen this message: its sender is told, if he asked to be, once.
    public func displayed(_ message: IncomingMessage) async throws { try await native.displayed(incoming: message) }

    /// Deletes a message here; whether there was one.
    @discardableResult
    public func deleteMessage(_ sequence: UInt64) async throws -> Bool {
        try await native.deleteMessage(sequence: sequence)
    }

    /// Deletes a conversation here; how many messages it had.
    @discardableResult
    public func deleteConversation(_ peer: String) async throws -> UInt64 {
        try await native.deleteConversation(peer: peer)
    }

    /// Sends a message once more that failed or whose fate is unknown, as the same message; false if it need not be.
    public func sendAgain(_ id: String) async throws -> Bool { try await native.sendAgain(id: id) }

    /// For an app that wants no message until it runs again: the store's locks and files are let go within a second and not
    /// taken again; messages stay with their senders. `enterBackground()` lets go of them too.
    public func suspendStore() async throws { try await native.suspendStore() }

    /// The app runs again: the store is opened again.
    public func resumeStore() async throws { try await native.resumeStore() }

    /// Unregisters, ends what is under way within a few seconds, and returns when all has ended. May be called again.
    public func shutDown() async { await native.shutDown() }
}

extension IncomingMessage {
    /// What the message says, in its order: text, files, content that lies elsewhere. Of alternatives it is the best that is
    /// understood.
    public var pieces: [Piece] { readContent(contentType: contentType, body: body) }
}

/// Runs a call that a signal ends, which is how cancellation reaches it.
private func cancellable<T: Sendable>(
    _ call: @Sendable (StopSignal) async throws -> T?
) async throws -> T {
    let stop = StopSignal()
    let result = try await withTaskCancellationHandler {
        try await call(stop)
    } onCancel: {
        stop.stop()
    }
    guard let result else { throw CancellationError() }
    return result
}

/// A closure as the library wants it.
private final class Passwords: SecretProvider {
    private let ask: @Sendable (String) throws -> String?

    init(_ ask: @escaping @Sendable (String) throws -> String?) { self.ask = ask }

    func password(addressOfRecord: String) throws -> String? { try ask(addressOfRecord) }
}
