package org.aldis

import org.aldis.ffi.LogLevel
import org.aldis.ffi.LogSink
import org.aldis.ffi.clearLogSink
import org.aldis.ffi.setLogSink

/** The library's log. The process has one; neither message bodies nor user names appear from [LogLevel.INFO] up. */
object Log {
    /** Sends lines from [level] on to [sink], which is called on the library's threads: be quick, and call no phone. */
    fun to(level: LogLevel, sink: (level: LogLevel, target: String, line: String) -> Unit) =
        setLogSink(
            object : LogSink {
                override fun log(level: LogLevel, target: String, line: String) = sink(level, target, line)
            },
            level,
        )

    /** Sends them to the platform's logger `org.aldis`. */
    fun toSystem(level: LogLevel) {
        val logger = System.getLogger("org.aldis")
        to(level) { severity, target, line -> logger.log(severity.system, "{0}: {1}", target, line) }
    }

    /** Sends them nowhere. */
    fun off() = clearLogSink()

    private val LogLevel.system
        get() = when (this) {
            LogLevel.ERROR -> System.Logger.Level.ERROR
            LogLevel.WARN -> System.Logger.Level.WARNING
            LogLevel.INFO -> System.Logger.Level.INFO
            LogLevel.DEBUG -> System.Logger.Level.DEBUG
            LogLevel.TRACE -> System.Logger.Level.TRACE
        }
}
