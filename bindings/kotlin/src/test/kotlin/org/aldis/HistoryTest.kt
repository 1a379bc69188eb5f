package org.aldis

import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import org.aldis.ffi.Event
import org.aldis.ffi.HistoryEntry
import org.aldis.ffi.LinkException
import org.aldis.ffi.LinkedContent
import org.aldis.ffi.MessageFailure
import org.aldis.ffi.OutgoingState
import org.aldis.ffi.Piece
import org.aldis.ffi.Said
import org.aldis.ffi.SendException
import org.aldis.ffi.SentState
import org.aldis.ffi.linkContent
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.io.path.exists
import kotlin.io.path.writeText

/** What the store keeps, receipts, and how messages fail. */
@Timeout(300)
class HistoryTest : WithServer() {
    @TempDir
    lateinit var folder: Path

    private val bobs = "sip:bob@example.test"

    private fun kept(user: String) = server.config(user).copy(storeFile = folder.resolve("$user.db").toString())

    private val password = Phone.Secrets { if ("bob" in it) "builder" else "wonderland" }

    private fun text(entry: HistoryEntry) = when (val said = entry.said) {
        is Said.Received -> said.incoming.text
        is Said.Sent -> said.text
    }

    private suspend fun Phone.state(id: String, wanted: (OutgoingState) -> Boolean): OutgoingState =
        (events.first { it is Event.Outgoing && it.id == id && wanted(it.state) } as Event.Outgoing).state

    private fun OutgoingState.failure() = assertInstanceOf(OutgoingState.Failed::class.java, this).failure

    @Test
    fun `a message that was shown is told to its sender, if the user consents`() = test {
        Phone(server.config("bob").copy(sendDisplayReceipts = true), secrets = password).use { bob ->
            bob.register()
            server.phone("alice").use { alice ->
                alice.register()
                val id = alice.enqueue(bobs, "look", receipts = true)
                val message = bob.messages.first()
                assertTrue(message.wantsDisplayReceipt)
                bob.displayed(message)
                bob.displayed(message)
                alice.state(id) { it is OutgoingState.Displayed }
            }
        }
    }

    @Test
    fun `what was said is found and deleted`() = test {
        Phone(kept("alice"), secrets = password).use { alice ->
            server.phone("bob").use { bob ->
                bob.register()
                for (text in listOf("Grüße aus Köln", "bis morgen")) assertAccepted(alice.send(bobs, text))
                assertEquals(listOf("Grüße aus Köln"), alice.search("KOLN gru").map(::text))
                assertTrue(alice.search("köln", peer = "sip:carol@example.test").isEmpty())
                val (last, first) = alice.history(bobs)
                assertEquals(listOf("Grüße aus Köln"), alice.history(bobs, before = last.sequence).map(::text))
                assertInstanceOf(SentState.Accepted::class.java, (last.said as Said.Sent).state)
                assertTrue(alice.deleteMessage(last.sequence))
                assertFalse(alice.deleteMessage(last.sequence))
                assertEquals(listOf(first.sequence), alice.history(bobs).map { it.sequence })
            }
        }
    }

    @Test
    fun `a message that failed can be sent again as the same`() = test {
        server.phone("bob").use { bob ->
            bob.register()
            Phone(kept("alice"), secrets = password).use { alice ->
                server.ask("fault message 603")
                val id = alice.enqueue(bobs, "once more")
                assertInstanceOf(MessageFailure.Declined::class.java, alice.state(id) { it.isFinal() }.failure())
                server.ask("clear")
                assertTrue(alice.sendAgain(id))
                assertInstanceOf(OutgoingState.Accepted::class.java, alice.state(id) { it.isFinal() })
                assertEquals(id, bob.messages.first().id)
                assertFalse(alice.sendAgain(id))
                assertFalse(alice.sendAgain("nothing of the kind"))
            }
        }
    }

    @Test
    fun `while the store is let go, messages stay with their senders`() = test {
        Phone(kept("bob"), secrets = password).use { bob ->
            bob.register()
            server.phone("alice").use { alice ->
                bob.suspendStore()
                val refused = alice.send(bobs, "now?").failure()
                assertEquals(480.toUShort(), (refused as MessageFailure.Rejected).status)
                thrownBy<SendException.Storage> { bob.send("sip:alice@example.test", "no") }
                bob.resumeStore()
                assertAccepted(alice.send(bobs, "now"))
                assertEquals("now", bob.messages.first().text)
            }
        }
    }

    @Test
    fun `what an extension sends while the app is suspended, the app is told of`() = test {
        val app = kept("alice").copy(addresses = listOf("127.0.0.1:9"), sharedStore = true)
        Phone(app, secrets = password).use { alice ->
            val id = alice.enqueue("sip:nobody@example.test", "is there anybody?")
            alice.suspendStore()
            Phone(kept("alice").copy(sharedStore = true), secrets = password).use { extension ->
                extension.register()
                assertInstanceOf(MessageFailure.Rejected::class.java, extension.state(id) { it is OutgoingState.Failed }.failure())
            }
            alice.resumeStore()
            val failure = alice.state(id) { it is OutgoingState.Failed }.failure()
            assertTrue("404" in assertInstanceOf(MessageFailure.Elsewhere::class.java, failure).explanation, "$failure")
        }
    }

    @Test
    fun `a damaged store is set aside and told of`() = test {
        val file = folder.resolve("alice.db").apply { writeText("no database") }
        Phone(kept("alice"), secrets = password).use { alice ->
            val told = alice.events.first { it is Event.Storage } as Event.Storage
            assertTrue("damaged" in told.explanation && told.advice.isNotEmpty(), told.explanation)
            assertTrue(file.exists())
            assertTrue(alice.conversations().isEmpty())
        }
    }

    @Test
    fun `a type that the recipient does not take is told with those that it takes`() = test {
        server.phone("alice").use { alice ->
            server.ask("fault message 415 accept application/json")
            val failure = assertInstanceOf(MessageFailure.ContentType::class.java, alice.send(bobs, "x").failure())
            assertEquals(listOf("application/json"), failure.accepts)
        }
    }

    @Test
    fun `a receipt can say that a message did not arrive`() = test {
        Phone(server.config("bob").copy(sendDeliveryReceipts = false), secrets = password).use { bob ->
            bob.register()
            server.phone("alice").use { alice ->
                alice.register()
                val id = alice.enqueue(bobs, "lost", receipts = true)
                alice.state(id) { it is OutgoingState.Accepted }
                server.ask("receipt alice bob $id failed")
                assertEquals(MessageFailure.NotDelivered, alice.state(id) { it is OutgoingState.Failed }.failure())
            }
        }
    }

    @Test
    fun `a file is read, and one that lies elsewhere is linked`() = test {
        server.phone("bob").use { bob ->
            bob.register()
            server.phone("alice").use { alice ->
                assertAccepted(alice.send(bobs, "image/png", byteArrayOf(1, 2, 3)))
                val linked = LinkedContent("https://files.example.test/a.png", "image/png", expires = 4_000_000_000, size = 3uL)
                val body = linkContent(linked)
                assertAccepted(alice.send(bobs, body.contentType, body.bytes))
                val (file, link) = bob.messages.take(2).toList().map { it.pieces.single() }
                assertTrue(byteArrayOf(1, 2, 3).contentEquals((file as Piece.File).bytes))
                assertEquals(linked, (link as Piece.Elsewhere).linked)
                thrownBy<LinkException.Field> { linkContent(linked.copy(expires = null)) }
            }
        }
        Phone(server.config("alice").copy(maxBody = 10u), secrets = password).use { alice ->
            thrownBy<SendException.TooLarge> { alice.send(bobs, "more than ten bytes") }
        }
    }
}
