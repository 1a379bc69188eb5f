package org.aldis

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlin.io.path.writeText

/** The example, as a program of its own. */
@Timeout(300)
class ChatTest {
    @TempDir
    lateinit var folder: Path

    private fun start(own: String, other: String, address: String, roots: Path, password: String): Process {
        val classes = System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path")
        val java = Path.of(System.getProperty("java.home"), "bin", "java").toString()
        // As on a terminal of today, whatever the locale of the machine that tests.
        val utf8 = listOf("file", "stdout", "sun.stdout").map { "-D$it.encoding=UTF-8" }
        return ProcessBuilder(listOf(java) + utf8 + listOf("-cp", classes, "ChatKt", own, other)).redirectErrorStream(true)
            .apply { environment() += mapOf("ALDIS_ADDRESS" to address, "ALDIS_ROOTS" to "$roots", "ALDIS_PASSWORD" to password) }
            .start()
    }

    private fun chat(server: TestServer, address: String, password: String, input: String): Pair<Int, String> {
        val roots = folder.resolve("roots.pem").apply { writeText(server.root) }
        val own = "sip:alice@example.test"
        val process = start(own, own, address, roots, password)
        process.outputStream.use { it.write(input.toByteArray()) }
        val said = process.inputStream.bufferedReader().readText()
        return process.waitFor() to said
    }

    /** One who sits at a chat. */
    private class Person(private val process: Process) {
        private val lines = process.inputStream.bufferedReader()
        private val input = process.outputStream.bufferedWriter()

        fun types(line: String) = input.run { write("$line\n"); flush() }

        fun waitsFor(words: String) {
            val heard = mutableListOf<String>()
            do heard += lines.readLine() ?: throw AssertionError("$heard: no $words") while (words !in heard.last())
        }

        fun leaves() {
            types("")
            assertEquals(0, process.waitFor())
        }
    }

    @Test
    fun `two people talk through Kamailio`() {
        val (alice, bob) = listOf("sip:alice@example.test", "sip:bob@example.test")
        val roots = Path.of(System.getProperty("aldis.kamailioRoot"))
        val place = System.getProperty("aldis.kamailio")
        val processes = listOf(start(alice, bob, place, roots, "wonderland"), start(bob, alice, place, roots, "builder"))
        // Whoever waits for a line that never comes is freed by the end of the other side.
        val watch = Thread { runCatching { Thread.sleep(120_000) }.onSuccess { processes.forEach(Process::destroy) } }
        watch.start()
        val (atAlice, atBob) = processes.map(::Person)
        atAlice.waitsFor("You are $alice")
        atBob.waitsFor("You are $bob")
        atAlice.types("Hello, Bob")
        atBob.waitsFor("$alice: Hello, Bob")
        atAlice.waitsFor("(delivered)")
        atBob.types("Grüße, Alice ☎")
        atAlice.waitsFor("$bob: Grüße, Alice ☎")
        atBob.waitsFor("(delivered)")
        atAlice.leaves()
        atBob.leaves()
        watch.interrupt()
    }

    @Test
    fun `a message to oneself comes back`() = TestServer().use { server ->
        val (status, said) = chat(server, server.registrar, "wonderland", "hello\n\n")
        assertEquals(0, status, said)
        assertTrue(said.contains("(delivered)") && said.contains("sip:alice@example.test: hello"), said)
    }

    @Test
    fun `a wrong password is told`() = TestServer().use { server ->
        val (status, said) = chat(server, server.registrar, "guess", "")
        assertEquals(1, status, said)
        assertTrue(said.contains("Check the user name and the password."), said)
    }

    @Test
    fun `an untrusted server is told with its evidence`() = TestServer().use { server ->
        val (_, said) = chat(server, server.impostor, "wonderland", "\n")
        assertTrue(said.contains("subjectAltName: expected") && said.contains("other.test"), said)
        assertEquals("0", server.ask("impostor-bytes"))
    }
}
