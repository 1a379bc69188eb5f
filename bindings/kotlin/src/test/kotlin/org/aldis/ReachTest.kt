package org.aldis

import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.takeWhile
import org.aldis.ffi.Event
import org.aldis.ffi.EventPackage
import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.PushState
import org.aldis.ffi.RegisterException
import org.aldis.ffi.RegistrationState
import org.aldis.ffi.StartException
import org.aldis.ffi.SubscriptionState
import org.aldis.ffi.Timing
import org.aldis.ffi.TrustConfig
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import java.time.Duration

/** Push, subscriptions, several connections. */
@Timeout(300)
class ReachTest : WithServer() {
    private fun generous(change: PhoneConfig.() -> PhoneConfig = { this }) =
        Phone(server.config("alice", server.generous, server.generousRoot).change(), secrets = { "wonderland" })

    private suspend inline fun <reified S : PushState> Phone.push(): S =
        (events.first { it is Event.Push && it.state is S } as Event.Push).state as S

    private suspend inline fun <reified S : SubscriptionState> Phone.subscription(to: EventPackage): S =
        (events.first { it is Event.Subscription && it.`package` == to && it.state is S } as Event.Subscription).state as S

    @Test
    fun `a network that pushes is asked, and promises`() = test {
        generous().use { phone ->
            phone.register()
            phone.queryPush()
            assertEquals(setOf("apns", "fcm"), phone.push<PushState.Offered>().providers.toSet())
            phone.setPush("fcm", "ef7b1ee3-a9ba", "project-7", wakesItself = true)
            assertEquals(Duration.ofSeconds(120), phone.push<PushState.Active>().refreshBefore)
            phone.clearPush()
            phone.push<PushState.Off>()
            phone.setPush("webpush", "ef7b1ee3-a9ba")
            phone.push<PushState.Unsupported>()
        }
    }

    @Test
    fun `what is subscribed to is told, until it is not`() = test {
        generous().use { phone ->
            phone.subscribe(EventPackage.MESSAGE_SUMMARY)
            phone.register()
            phone.subscription<SubscriptionState.Active>(EventPackage.MESSAGE_SUMMARY)
            server.ask("generous summary alice 3")
            val told = phone.events.first { it is Event.MessagesWaiting && it.summary.waiting } as Event.MessagesWaiting
            assertEquals(listOf("Voice-Message" to 3u), told.summary.counts.map { it.kind to it.newMessages })
            phone.unsubscribe(EventPackage.MESSAGE_SUMMARY)
            phone.subscribe(EventPackage.REGISTRATION)
            phone.subscription<SubscriptionState.Active>(EventPackage.REGISTRATION)
            // The server takes requests in their order: it tells of the mailbox no more.
            server.ask("generous summary alice 5")
            server.ask("generous notify alice 1")
            val later = mutableListOf<Event>()
            phone.events.takeWhile { later += it; it !is Event.Notify || String(it.body) != "1" }.collect()
            assertTrue(later.none { it is Event.MessagesWaiting }, "$later")
        }
    }

    @Test
    fun `an account keeps as many connections as it is told`() = test {
        generous { copy(addresses = listOf(server.generous, server.generousSecond), flows = 2u) }.use { phone ->
            phone.register()
            val missing = mutableSetOf(1u, 2u)
            phone.events.takeWhile {
                if (it is Event.Registration && it.state is RegistrationState.Registered) missing -= it.regId
                missing.isNotEmpty()
            }.collect()
            assertEquals("2", server.ask("generous bindings alice"))
            phone.shutDown()
            assertEquals("0", server.ask("generous bindings alice"))
        }
        assertThrows(StartException.Range::class.java) { generous { copy(flows = 5u) }.close() }
    }

    @Test
    fun `each proxy has to prove its own name`() = test {
        val (first, second) = listOf(server.generous, server.generousSecond).map { it.replace("127.0.0.1", "localhost") }
        generous { copy(addresses = emptyList(), proxy = first, moreProxies = listOf(second)) }.use { phone ->
            val refused = thrownBy<RegisterException.NoConnection> { phone.register() }
            assertEquals("localhost", refused.verdict()?.reference)
            assertTrue(refused.verdict()!!.findings.first().found.contains("example.test"))
        }
        assertThrows(StartException.Identity::class.java) { generous { copy(moreProxies = listOf("no proxy")) }.close() }
    }

    @Test
    fun `what is set for a phone reaches it`() = test {
        val timing = Timing(
            ping = Duration.ofSeconds(60),
            backgroundPing = Duration.ofSeconds(600),
            retryAllFailed = Duration.ofSeconds(30),
            retry = Duration.ofSeconds(90),
            retryAtMost = Duration.ofSeconds(1800),
        )
        // The first wait is a half to the whole of what was set.
        Phone(server.config("alice", server.closed).copy(timing = timing), secrets = { "wonderland" }).use { phone ->
            val failed = thrownBy<RegisterException.NoConnection> { phone.register() }
            assertTrue(failed.retryIn in Duration.ofSeconds(15)..Duration.ofSeconds(60), "${failed.retryIn}")
        }
        val wrong = assertThrows(StartException.Range::class.java) {
            Phone(server.config("alice").copy(timing = timing.copy(ping = Duration.ZERO))).close()
        }
        assertTrue(wrong.field.contains("keep-alive"), wrong.field)
    }
}
