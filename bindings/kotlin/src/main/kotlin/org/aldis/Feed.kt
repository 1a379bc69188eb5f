package org.aldis

import kotlinx.coroutines.ExperimentalForInheritanceCoroutinesApi
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.FlowCollector
import org.aldis.ffi.StopSignal

/** An item with the number that acknowledges it. */
internal class Numbered<T>(val sequence: ULong, val item: T)

/**
 * A flow over a queue that is shared by all collectors and keeps what is not acknowledged. An item is claimed, and with
 * that acknowledged, when nothing stands between it and the collector any more: whoever is cancelled before leaves it in
 * the queue, and whoever has it will not see it again.
 */
@OptIn(ExperimentalForInheritanceCoroutinesApi::class)
internal class Feed<T>(private val next: suspend (after: ULong, until: StopSignal) -> Numbered<T>?) : Flow<T> {
    private val lock = Any()
    private var claimed = 0uL
    private var current: StopSignal? = null

    // Not the builder `flow`: it looks for cancellation between the claim and the collector.
    override suspend fun collect(collector: FlowCollector<T>) {
        val turn = takeOver()
        try {
            while (true) {
                val numbered = next(synchronized(lock) { claimed }, turn) ?: return
                if (!claim(turn, numbered.sequence)) return
                collector.emit(numbered.item)
            }
        } finally {
            synchronized(lock) { if (current === turn) current = null }
            turn.destroy()
        }
    }

    private fun takeOver(): StopSignal {
        val turn = StopSignal()
        synchronized(lock) {
            current?.stop()
            current = turn
        }
        return turn
    }

    private fun claim(turn: StopSignal, sequence: ULong): Boolean = synchronized(lock) {
        (current === turn).also { if (it) claimed = sequence }
    }
}
