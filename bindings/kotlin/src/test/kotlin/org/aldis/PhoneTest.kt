package org.aldis

import example.AppPhone
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancel
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.yield
import org.aldis.ffi.ConnectionState
import org.aldis.ffi.CredentialsProblem
import org.aldis.ffi.Event
import org.aldis.ffi.IncomingMessage
import org.aldis.ffi.KeyException
import org.aldis.ffi.LogLevel
import org.aldis.ffi.MessageFailure
import org.aldis.ffi.OutgoingState
import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.PushState
import org.aldis.ffi.ReachException
import org.aldis.ffi.RegisterException
import org.aldis.ffi.RegistrationFailure
import org.aldis.ffi.RegistrationState
import org.aldis.ffi.Said
import org.aldis.ffi.SendException
import org.aldis.ffi.SignatureMethod
import org.aldis.ffi.StartException
import org.aldis.ffi.TrustConfig
import org.aldis.ffi.Trouble
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertInstanceOf
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.net.InetAddress
import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicInteger

/** Limits of time are there to end what hangs; they say nothing of speed, and hold on a machine that is busy. */
@Timeout(300)
class PhoneTest : WithServer() {
    private suspend fun refused(phone: Phone) = phone.use { thrownBy<RegisterException.Refused> { it.register() } }

    @Test
    fun `a phone registers and says how the server proved itself`() = test {
        server.phone("alice").use { phone ->
            val registered = phone.register()
            assertTrue(registered.expiresIn.seconds in 1..3600)
            assertEquals("1", server.ask("bindings alice"))
            val connected = phone.events.first { it is Event.Connection && it.state is ConnectionState.Connected }
            val facts = ((connected as Event.Connection).state as ConnectionState.Connected).server
            assertEquals("example.test", facts.reference)
            assertEquals(server.registrar, facts.address)
            phone.shutDown()
            assertEquals("0", server.ask("bindings alice"))
        }
    }

    @Test
    fun `a wrong password asks for credentials, and the right one helps`() = test {
        server.phone("alice", password = "guess").use { phone ->
            val error = thrownBy<RegisterException.Refused> { phone.register() }
            assertTrue(error.needsCredentials())
            assertFalse(error.willRetry())
            val failure = assertInstanceOf(RegistrationFailure.Credentials::class.java, error.failure)
            assertInstanceOf(CredentialsProblem.Rejected::class.java, failure.problem)
            phone.setCredentials("alice", "wonderland")
            phone.register()
        }
    }

    @Test
    fun `an untrusted server gets no byte, and the verdict says why`() = test {
        server.phone("alice", address = server.impostor).use { phone ->
            val error = thrownBy<RegisterException.NoConnection> { phone.register() }
            assertTrue(error.willRetry())
            assertFalse(error.needsCredentials())
            val verdict = assertNotNull(error.verdict()).let { error.verdict()!! }
            assertEquals("example.test", verdict.reference)
            assertEquals(server.impostor, verdict.address)
            val finding = verdict.findings.first()
            assertTrue(finding.expected.contains("example.test"), finding.toString())
            assertTrue(finding.found.contains("other.test"), finding.toString())
            assertEquals("subjectAltName", finding.field)
            assertTrue(finding.advice.isNotEmpty() && finding.code.isNotEmpty())
            assertEquals(64, finding.certificate?.sha256?.length)
            assertTrue(phone.events.first { it is Event.Untrusted } is Event.Untrusted)
        }
        assertEquals("0", server.ask("impostor-bytes"))
    }

    @Test
    fun `every refusal arrives as its own case`() = test {
        suspend fun failure(vararg asks: String): RegisterException.Refused {
            asks.forEach { assertEquals("ok", server.ask(it)) }
            return refused(server.phone("alice")).also { server.ask("clear") }
        }
        assertInstanceOf(RegistrationFailure.Forbidden::class.java, failure("fault register 403").failure)
        assertInstanceOf(RegistrationFailure.UnknownUser::class.java, failure("fault register 404").failure)
        assertInstanceOf(RegistrationFailure.Interval::class.java, failure("fault register 423").failure)
        val unavailable = failure("fault register 503 30")
        assertEquals(503.toUShort(), assertInstanceOf(RegistrationFailure.Unavailable::class.java, unavailable.failure).status)
        assertEquals(503.toUShort(), unavailable.status)
        assertTrue(unavailable.willRetry())
        assertInstanceOf(RegistrationFailure.NoBinding::class.java, failure("without-binding").failure)
        val loop = assertInstanceOf(RegistrationFailure.Credentials::class.java, failure("loop").failure)
        assertInstanceOf(CredentialsProblem.Loop::class.java, loop.problem)
        Phone(server.config("alice")).use { phone ->
            val missing = thrownBy<RegisterException.Refused> { phone.register() }
            val problem = assertInstanceOf(RegistrationFailure.Credentials::class.java, missing.failure).problem
            assertInstanceOf(CredentialsProblem.Missing::class.java, problem)
        }
        server.phone("alice", address = server.closed).use { phone ->
            val error = thrownBy<RegisterException.NoConnection> { phone.register() }
            assertInstanceOf(Trouble.Unreachable::class.java, error.trouble)
            assertNull(error.verdict())
            assertTrue(error.advice().isNotEmpty())
        }
        server.phone("alice").let { phone ->
            phone.shutDown()
            thrownBy<RegisterException.ShutDown> { phone.register() }
            thrownBy<SendException.ShutDown> { phone.send("sip:bob@example.test", "too late") }
            phone.close()
        }
    }

    @Test
    fun `what cannot start says which part is wrong`() {
        fun broken(config: PhoneConfig) = assertThrows(StartException::class.java) { Phone(config).close() }
        val good = server.config("alice")
        assertInstanceOf(StartException.AddressOfRecord::class.java, broken(good.copy(addressOfRecord = "alice")))
        assertInstanceOf(StartException.Address::class.java, broken(good.copy(addresses = listOf("nowhere"))))
        assertInstanceOf(StartException.Address::class.java, broken(good.copy(resolver = "nobody")))
        assertInstanceOf(StartException.Instance::class.java, broken(good.copy(instance = "7")))
        assertInstanceOf(StartException.Range::class.java, broken(good.copy(expires = 0u)))
        assertInstanceOf(StartException.Range::class.java, broken(good.copy(maxMessage = 1u)))
        assertInstanceOf(StartException.ControlCharacter::class.java, broken(good.copy(displayName = "a\nb")))
        fun trust(trust: TrustConfig) = broken(good.copy(trust = trust))
        assertInstanceOf(StartException.Roots::class.java, trust(TrustConfig(onlyRoots = "none")))
        assertInstanceOf(StartException.Pin::class.java, trust(TrustConfig(pins = listOf("x"))))
        assertInstanceOf(StartException.ServerName::class.java, trust(TrustConfig(serverNames = listOf("a b"))))
        assertInstanceOf(StartException.RevocationList::class.java, trust(TrustConfig(revocationLists = listOf(byteArrayOf(1)))))
        assertInstanceOf(StartException.ClientCertificate::class.java, trust(TrustConfig(clientCertificates = server.clientCertificates)))
        val failing = assertThrows(StartException::class.java) { Phone(good, secrets = { error("hunter2") }).close() }
        assertInstanceOf(StartException.Secrets::class.java, failing)
        assertFalse(failing.toString().contains("hunter2"))
        assertTrue(broken(good.copy(expires = 0u)).toString().contains("must be from"), "an error prints its sentence")
    }

    @Test
    fun `messages are sent and received, with what the sender said`() = test {
        server.phone("bob").use { bob ->
            bob.register()
            server.phone("alice").use { alice ->
                assertAccepted(alice.send("sip:bob@example.test", "Grüße, Bob ☎"))
                assertAccepted(alice.send("sip:bob@example.test", "text/plain;charset=iso-8859-1", byteArrayOf(0x63, -0x17)))
                val (text, bytes) = bob.messages.take(2).toList()
                assertEquals("Grüße, Bob ☎", text.text)
                assertEquals("sip:alice@example.test", text.from)
                assertEquals("cé", bytes.text)
                assertTrue(byteArrayOf(0x63, -0x17).contentEquals(bytes.body))
                val id = alice.enqueue("sip:bob@example.test", "third")
                val last = alice.events.first { it is Event.Outgoing && it.id == id && it.state.isFinal() }
                assertInstanceOf(OutgoingState.Accepted::class.java, (last as Event.Outgoing).state)
            }
        }
    }

    @Test
    fun `who types is seen by the other, and receipts come when asked for`() = test {
        server.phone("bob").use { bob ->
            bob.register()
            server.phone("alice").use { alice ->
                alice.register()
                thrownBy<SendException.Recipient> { alice.composing("bob") }
                alice.composing("sip:bob@example.test")
                val typing = bob.events.first { it is Event.Composing } as Event.Composing
                assertEquals("sip:alice@example.test" to true, typing.from to typing.active)
                val sent = alice.send("sip:bob@example.test", "with a receipt", receipts = true)
                assertTrue(sent is OutgoingState.Accepted && sent.receipts || sent is OutgoingState.Delivered, "$sent")
                if (sent !is OutgoingState.Delivered) {
                    alice.events.first { it is Event.Outgoing && it.state is OutgoingState.Delivered }
                }
                val plain = assertInstanceOf(OutgoingState.Accepted::class.java, alice.send("sip:bob@example.test", "without"))
                assertFalse(plain.receipts)
            }
        }
    }

    @Test
    fun `a new network replaces the connection`() = test {
        server.phone("alice").use { phone ->
            phone.register()
            phone.networkChanged(listOf("127.0.0.1", "fe80::1%1").map(InetAddress::getByName))
            // The one from before, and the new one.
            phone.events.filter { it is Event.Connection && it.state is ConnectionState.Connected }.take(2).collect()
            phone.events.first { it is Event.Registration && it.state is RegistrationState.Registered }
        }
    }

    @Test
    fun `a push makes a phone register anew at once`() = test {
        server.phone("alice").use { phone ->
            phone.register()
            phone.enterBackground()
            phone.wake()
            phone.enterForeground()
            // The first, and the one that the push led to.
            phone.events.filter { it is Event.Registration && it.state is RegistrationState.Registered }.take(2).collect()
        }
    }

    @Test
    fun `push, tokens and subscriptions are told of`() = test {
        server.phone("alice").use { phone ->
            thrownBy<ReachException.Push> { phone.setPush("fcm", "a\nb") }
            thrownBy<ReachException.Token> { phone.setToken("example.test", "a b") }
            phone.setPush("fcm", "ef7b1ee3-a9ba", "project-7")
            phone.register()
            // A registrar without push promises none.
            val push = phone.events.first { it is Event.Push } as Event.Push
            assertInstanceOf(PushState.NotPromised::class.java, push.state)
            server.ask("voicemail alice 2")
            val summary = (phone.events.first { it is Event.MessagesWaiting } as Event.MessagesWaiting).summary
            assertTrue(summary.waiting)
            assertEquals(listOf("Voice-Message" to 2u), summary.counts.map { it.kind to it.newMessages })
            phone.clearPush()
        }
    }

    @Test
    fun `the example of an app is woken for a message`() = test {
        val life = CoroutineScope(Dispatchers.Default)
        AppPhone(server.config("alice"), life, secrets = { "wonderland" }).use { app ->
            app.pushToken("ef7b1ee3-a9ba", "project-7")
            while (server.ask("bindings alice") != "1") delay(5)
            val sending = async { server.phone("bob").use { it.send("sip:alice@example.test", "Wake up") } }
            assertTrue(app.woken(60_000) || app.messages.value.map { it.text } == listOf("Wake up"))
            assertAccepted(sending.await())
        }
        life.cancel()
    }

    @Test
    fun `a message that an app was killed over comes again, and no other`(@TempDir folder: Path) = test {
        val store = folder.resolve("alice.db").toString()
        server.phone("bob").use { bob ->
            val ready = CompletableDeferred<Unit>()
            val killed = async(Dispatchers.IO) {
                val java = Path.of(System.getProperty("java.home"), "bin", "java").toString()
                val classes = System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path")
                val process = ProcessBuilder(java, "-cp", classes, "org.aldis.KilledAppKt", server.registrar, store)
                    .redirectErrorStream(true).apply { environment()["ALDIS_ROOT"] = server.root }.start()
                val lines = process.inputStream.bufferedReader()
                val said = mutableListOf<String>()
                while (true) {
                    said += lines.readLine() ?: break
                    if (said.last() == "ready") ready.complete(Unit)
                }
                process.waitFor()
                said.filter { it != "ready" }
            }
            ready.await()
            assertAccepted(bob.send("sip:alice@example.test", "one"))
            assertAccepted(bob.send("sip:alice@example.test", "two"))
            // It is killed while it handles the second.
            assertEquals(listOf("one", "two"), killed.await())
            Phone(server.config("alice").copy(storeFile = store), secrets = { "wonderland" }).use { alice ->
                assertEquals("two", alice.messages.first().text)
                alice.register()
                assertAccepted(bob.send("sip:alice@example.test", "three"))
                assertEquals("three", alice.messages.first().text)
                val page = alice.history("sip:bob@example.test", limit = 2)
                assertEquals(listOf("three", "two"), page.map { (it.said as Said.Received).incoming.text })
                assertEquals(listOf("one"), alice.search("on").map { (it.said as Said.Received).incoming.text })
                assertEquals(listOf("sip:bob@example.test" to 3u), alice.conversations().map { it.peer to it.unread })
                alice.markRead("sip:bob@example.test", page.first().sequence)
                assertEquals(0u, alice.conversations().single().unread)
                assertEquals(3uL, alice.deleteConversation("sip:bob@example.test"))
                assertTrue(alice.conversations().isEmpty())
            }
        }
        thrownBy<StartException.Storage> { Phone(server.config("alice").copy(storeFile = "$folder")).close() }
    }

    @Test
    fun `a message that fails says why`() = test {
        server.phone("alice").use { alice ->
            thrownBy<SendException.Recipient> { alice.send("bob", "x") }
            thrownBy<SendException.ContentType> { alice.send("sip:bob@example.test", "nothing", byteArrayOf()) }
            val large = thrownBy<SendException.TooLarge> { alice.send("sip:bob@example.test", "x".repeat(9000)) }
            assertTrue(large.size > large.limit && large.limit in 1000uL..8192uL, "$large")
            thrownBy<SendException.Identifier> { alice.withdraw("x") }
            val absent = assertInstanceOf(OutgoingState.Failed::class.java, alice.send("sip:nobody@example.test", "x"))
            assertInstanceOf(MessageFailure.Rejected::class.java, absent.failure)
            server.ask("fault message 603")
            val declined = assertInstanceOf(OutgoingState.Failed::class.java, alice.send("sip:bob@example.test", "x"))
            assertInstanceOf(MessageFailure.Declined::class.java, declined.failure)
            server.ask("clear")
        }
        server.phone("alice", password = "guess").use { alice ->
            val failed = assertInstanceOf(OutgoingState.Failed::class.java, alice.send("sip:bob@example.test", "x"))
            assertTrue(failed.failure.needsCredentials(), "$failed")
        }
    }

    @Test
    fun `ten thousand events under cancelled collectors come once each and in order`() = test {
        val count = 10_000
        server.phone("alice").use { phone ->
            phone.register()
            val seen = ConcurrentLinkedQueue<Int>()
            // As many as a phone keeps for a slow reader; of more it lets the oldest go.
            val atOnce = 1000
            var asked = 0
            var cancelled = 0
            while (seen.size < count) {
                if (seen.size == asked) {
                    server.ask("notify alice ${asked + 1} ${asked + atOnce}")
                    asked += atOnce
                }
                val collector = launch { phone.events.collect { if (it is Event.Notify) seen += String(it.body).toInt() } }
                // Sooner and later, so that it is cancelled at every moment of a collection.
                repeat(cancelled % 50) { yield() }
                if (cancelled % 10 == 0) delay(1)
                collector.cancelAndJoin()
                cancelled++
            }
            assertEquals((1..count).toList(), seen.toList())
            println("$count events under $cancelled cancelled collectors")
        }
    }

    @Test
    fun `messages under cancelled collectors come once each and in order`() = test {
        val count = 200
        server.phone("bob").use { bob ->
            bob.register()
            val seen = ConcurrentLinkedQueue<String>()
            server.phone("alice").use { alice ->
                val sender = launch { repeat(count) { alice.send("sip:bob@example.test", "$it") } }
                while (sender.isActive) {
                    val collector = launch { bob.messages.collect { seen += it.text!! } }
                    delay(2)
                    collector.cancelAndJoin()
                }
            }
            bob.shutDown()
            bob.messages.collect { seen += it.text!! }
            assertEquals((0 until count).map { "$it" }, seen.toList())
        }
    }

    @Test
    fun `a new collector takes over from the one before`() = test {
        server.phone("alice").use { phone ->
            val first = async(start = CoroutineStart.UNDISPATCHED) { phone.messages.toList() }
            val second = async(start = CoroutineStart.UNDISPATCHED) { phone.messages.toList() }
            assertEquals(emptyList<IncomingMessage>(), first.await())
            phone.shutDown()
            assertEquals(emptyList<IncomingMessage>(), second.await())
        }
    }

    @Test
    fun `cancelling ends every call that waits`() = test {
        server.ask("silence")
        server.phone("alice").use { phone ->
            for (call in listOf<suspend () -> Unit>({ phone.register() }, { phone.send("sip:bob@example.test", "x") }, { phone.messages.collect {} })) {
                val began = CompletableDeferred<Unit>()
                val job = launch { began.complete(Unit); call() }
                began.await()
                delay(20)
                // Without the cancellation each would wait for half a minute at least.
                withTimeout(15_000) { job.cancelAndJoin() }
            }
        }
    }

    @Test
    fun `closing ends calls that wait, and a closed phone says so`() = test {
        val phone = server.phone("alice")
        val collector = async(start = CoroutineStart.UNDISPATCHED) { phone.messages.toList() }
        val registering = async(start = CoroutineStart.UNDISPATCHED) { server.ask("silence"); runCatching { phone.register() } }
        phone.close()
        phone.close()
        assertEquals(emptyList<IncomingMessage>(), collector.await())
        assertInstanceOf(Exception::class.java, registering.await().exceptionOrNull())
        assertThrows(IllegalStateException::class.java) { phone.networkChanged() }
        thrownBy<IllegalStateException> { phone.send("sip:bob@example.test", "x") }
        phone.events.collect {}
    }

    @Test
    fun `a key that stays in its keystore signs for the client certificate`() = test {
        val asked = AtomicInteger()
        val keystore = object : org.aldis.ffi.ClientKey {
            val key = KeystoreKey(server.clientKey)
            override fun supports(method: SignatureMethod) = key.supports(method)
            override fun sign(bytes: ByteArray, method: SignatureMethod) = key.sign(bytes, method).also { asked.incrementAndGet() }
        }
        val config = server.config("alice", server.vault, server.vaultRoot)
            .let { it.copy(trust = it.trust.copy(clientCertificates = server.clientCertificates)) }
        Phone(config, key = keystore).use { phone ->
            phone.startRegistering()
            phone.events.first { it is Event.Connection && it.state is ConnectionState.Connected }
            while (server.ask("vault-clients") == "0") delay(5)
            assertTrue(asked.get() > 0)
        }
        val declining = object : org.aldis.ffi.ClientKey {
            override fun supports(method: SignatureMethod) = true
            override fun sign(bytes: ByteArray, method: SignatureMethod): ByteArray = throw KeyException.Declined()
        }
        Phone(config, key = declining).use { phone ->
            assertInstanceOf(RegisterException.NoConnection::class.java, runCatching { phone.register() }.exceptionOrNull())
        }
    }

    @Test
    fun `no printed form and no log shows a secret`() = test {
        val lines = ConcurrentLinkedQueue<String>()
        Log.to(LogLevel.TRACE) { _, target, line -> lines += "$target $line" }
        val phone = server.phone("alice")
        phone.setToken("example.test", "bearer-3f8a")
        phone.register()
        phone.send("sip:nobody@example.test", "a secret word")
        phone.shutDown()
        Log.off()
        val events = phone.events.toList()
        val printed = listOf(phone, server.config("alice"), events, KeystoreKey(server.clientKey), lines).joinToString()
        for (secret in listOf("wonderland", "secret word", "bearer-3f8a")) assertFalse(printed.contains(secret), secret)
        assertTrue(lines.isNotEmpty(), "the log says something")
        phone.close()
    }

    @Test
    fun `a thousand phones leave nothing behind`() = test {
        // pom.xml fixes the size of Java's heap: what grows is native.
        fun resident() = File("/proc/self/status").readLines().first { it.startsWith("VmRSS") }.filter(Char::isDigit).toLong()
        fun threads() = File("/proc/self/task").list()!!.size
        suspend fun after(count: Int): Long {
            repeat(count) { server.phone("alice").use { it.networkChanged() } }
            System.gc()
            // They end in the background: what is left is what stays for a while.
            var least = resident()
            var unchanged = 0
            while (unchanged < 5) {
                delay(100)
                val now = resident()
                unchanged = if (now < least) 0 else unchanged + 1
                least = minOf(least, now)
            }
            return least
        }
        after(1000)
        val threads = threads()
        val sizes = (0..5).map { after(200) }
        val growth = sizes.zipWithNext { before, after -> after - before }
        println("a thousand phones: $sizes kB after each 200; threads: $threads, then ${threads()}")
        // What leaks does so in every round; a compiler or a collector that moves in does so in one or two.
        assertTrue(growth.sorted()[growth.size / 2] < 200 * 4, "$sizes kB: more than 4 kB a phone")
        assertTrue(threads() < threads + 50, "$threads threads, then ${threads()}")
    }

    @Test
    fun `many threads use one phone at once`() = test {
        server.phone("bob").use { bob ->
            bob.register()
            server.phone("alice").use { alice ->
                val sent = (0 until 8).map { thread ->
                    async(Dispatchers.IO) {
                        (0 until 10).map { number ->
                            alice.send("sip:bob@example.test", "$thread.$number")
                        }
                    }
                }
                val states = sent.awaitAll().flatten()
                assertTrue(states.all { it is OutgoingState.Accepted }, states.toString())
                val texts = bob.messages.take(80).toList().map { it.text }
                assertEquals(80, texts.toSet().size)
            }
        }
    }

    @Test
    fun `a call costs microseconds`() {
        server.phone("alice").use { phone ->
            // The fastest round counts: other programs slow the others down, and so does what is not compiled yet.
            fun cost(call: () -> Unit): Double {
                val end = System.nanoTime() + 30_000_000_000
                var best = Double.MAX_VALUE
                var rounds = 0
                while (rounds++ < 200 || best >= 60 && System.nanoTime() < end) {
                    val began = System.nanoTime()
                    repeat(50) { call() }
                    best = minOf(best, (System.nanoTime() - began) / 1000.0 / 50)
                }
                return best
            }
            val failing = cost { runCatching { phone.withdraw("x") } }
            val command = cost { phone.networkChanged() }
            val text = cost { org.aldis.ffi.libraryVersion() }
            println("a command: %.1f µs, a call that returns a text: %.1f µs, one that throws: %.1f µs".format(command, text, failing))
            assertTrue(maxOf(command, text) < 60)
        }
    }
}
