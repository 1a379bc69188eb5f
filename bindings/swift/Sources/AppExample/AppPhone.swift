// What an app on iOS keeps for as long as it runs: IOS.md explains it. The tests build the first part; the second needs Apple's SDK.
import Aldis
import Foundation

@MainActor
public final class AppPhone {
    public private(set) var messages: [IncomingMessage] = []
    public private(set) var problem: String?
    public let phone: Phone
    private var readers: [Task<Void, Never>] = []

    public init(account: String, password: String, authority: String? = nil, addresses: [String] = []) throws {
        let trust = TrustConfig(additionalRoots: authority)
        let config = PhoneConfig(addressOfRecord: account, addresses: addresses, trust: trust)
        phone = try Phone(config) { _ in password }
        readers = [
            Task { [weak self, phone] in for await message in phone.messages { self?.messages.append(message) } },
            Task { [weak self, phone] in for await event in phone.events { self?.tell(event) } },
        ]
        phone.startRegistering()
    }

    private func tell(_ event: Event) {
        switch event {
        case .untrusted(let verdict): problem = verdict.findings.first?.advice
        case .registration(.failed(_, let explanation, _, _), _): problem = explanation
        case .registration(.registered, _): problem = nil
        default: break
        }
    }

    /// The token of the push service: in hexadecimal, as the network's proxy hands it on.
    public func pushToken(_ token: Data, topic: String) throws {
        try phone.setPush(provider: "apns", token: token.map { String(format: "%02x", $0) }.joined(), parameter: topic)
    }

    /// A push came: true once what waited has come, false if nothing did in the seconds that the system gives.
    public func woken(for seconds: TimeInterval = 20) async -> Bool {
        let before = messages.count
        phone.wake()
        let end = Date(timeIntervalSinceNow: seconds)
        while messages.count == before && Date() < end { try? await Task.sleep(nanoseconds: 100_000_000) }
        return messages.count > before
    }
}

#if canImport(UIKit)
import Network
import UIKit

extension AppPhone {
    /// Follows the app's life and the device's network; keep the monitor.
    public func follow() -> NWPathMonitor {
        let center = NotificationCenter.default
        center.addObserver(forName: UIApplication.didEnterBackgroundNotification, object: nil, queue: nil) {
            [phone] _ in phone.enterBackground()
        }
        center.addObserver(forName: UIApplication.willEnterForegroundNotification, object: nil, queue: nil) {
            [phone] _ in phone.enterForeground()
        }
        let monitor = NWPathMonitor()
        monitor.pathUpdateHandler = { [phone] path in if path.status == .satisfied { phone.networkChanged() } }
        monitor.start(queue: .global())
        return monitor
    }
}
#endif
