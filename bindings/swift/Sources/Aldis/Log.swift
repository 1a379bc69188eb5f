#if canImport(os)
import os
#endif

/// The library's log. The process has one; neither message bodies nor user names appear from ``LogLevel/info`` up.
public enum Log {
    /// Sends lines from `level` on to `sink`, which is called on the library's threads: be quick, and call no phone.
    public static func to(
        _ level: LogLevel, _ sink: @escaping @Sendable (_ level: LogLevel, _ target: String, _ line: String) -> Void
    ) {
        setLogSink(sink: Sink(sink), level: level)
    }

    /// Sends them nowhere.
    public static func off() { clearLogSink() }

    #if canImport(os)
    /// Sends them to the unified log.
    public static func toSystem(_ level: LogLevel, subsystem: String = "org.aldis") {
        let logger = Logger(subsystem: subsystem, category: "sip")
        to(level) { level, target, line in
            let type: OSLogType =
                switch level {
                case .error: .fault
                case .warn: .error
                case .info: .default
                case .debug: .info
                case .trace: .debug
                }
            logger.log(level: type, "\(target, privacy: .public): \(line, privacy: .private)")
        }
    }
    #endif

    private final class Sink: LogSink {
        private let take: @Sendable (LogLevel, String, String) -> Void

        init(_ take: @escaping @Sendable (LogLevel, String, String) -> Void) { self.take = take }

        func log(level: LogLevel, target: String, line: String) { take(level, target, line) }
    }
}
