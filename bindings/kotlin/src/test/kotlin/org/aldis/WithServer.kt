package org.aldis

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.aldis.ffi.OutgoingState
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertTrue

/** Tests with a server each: what a phone of another test still does in the background touches none of this one. */
abstract class WithServer {
    protected val server = TestServer()

    @AfterEach
    fun stop() = server.close()

    protected fun test(block: suspend CoroutineScope.() -> Unit) = runBlocking(Dispatchers.Default) { withTimeout(240_000, block) }

    protected inline fun <reified E : Throwable> thrownBy(block: () -> Unit): E {
        try {
            block()
        } catch (e: Throwable) {
            return e as? E ?: throw e
        }
        throw AssertionError("nothing was thrown")
    }

    protected fun assertAccepted(state: OutgoingState) = assertTrue(state is OutgoingState.Accepted, "$state")
}
