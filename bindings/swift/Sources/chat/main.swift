// A chat in the terminal: chat sip:alice@example.test sip:bob@example.test
// The password comes from ALDIS_PASSWORD; ALDIS_ADDRESS and ALDIS_ROOTS (a PEM file) serve a server of your own.
import Aldis
import Foundation

/// Prints a line at once, into a pipe too.
func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

guard CommandLine.arguments.count == 3 else {
    say("usage: chat MY-ADDRESS THEIR-ADDRESS")
    exit(2)
}
let (own, other) = (CommandLine.arguments[1], CommandLine.arguments[2])
let environment = ProcessInfo.processInfo.environment
let roots = try environment["ALDIS_ROOTS"].map { try String(contentsOfFile: $0, encoding: .utf8) }
let config = PhoneConfig(
    addressOfRecord: own,
    addresses: environment["ALDIS_ADDRESS"].map { [$0] } ?? [],
    trust: TrustConfig(additionalRoots: roots)
)
let phone = try Phone(config) { _ in ProcessInfo.processInfo.environment["ALDIS_PASSWORD"] }

do {
    try await phone.register()
} catch let error as RegisterError {
    say("Not registered: \(error). \(error.advice())")
    for finding in error.verdict()?.findings ?? [] {
        say("  \(finding.field): expected \(finding.expected), found \(finding.found)")
    }
    if !error.willRetry() { exit(1) }
}
say("You are \(own). Type to write to \(other); end with an empty line.")

let messages = Task {
    for await message in phone.messages { say("\(message.from): \(message.text ?? message.contentType)") }
}
let events = Task {
    for await case .untrusted(let verdict) in phone.events { say("! untrusted: \(verdict.findings[0].meaning)") }
}
// Reading a line blocks its thread: not one of those that tasks run on.
let lines = AsyncStream<String> { lines in
    Thread.detachNewThread {
        while let line = readLine(), !line.isEmpty { lines.yield(line) }
        lines.finish()
    }
}
for await line in lines {
    do {
        switch try await phone.send(line, to: other) {
        case .accepted, .delivered, .displayed: say("(delivered)")
        case .failed(_, let explanation, _): say("(not delivered: \(explanation))")
        case .unknown(_, let explanation, _): say("(\(explanation))")
        case .queued, .sending: break
        }
    } catch let error as SendError {
        say("(not sent: \(error))")
    }
}
await phone.shutDown()
_ = await (messages.value, events.value)
