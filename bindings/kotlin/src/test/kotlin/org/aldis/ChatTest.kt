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

    private fun chat(server: TestServer, address: String, password: String, input: String): Pair<Int, String> {
        val roots = folder.resolve("roots.pem").apply { writeText(server.root) }
        val classes = System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path")
        val java = Path.of(System.getProperty("java.home"), "bin", "java").toString()
        val own = "sip:alice@example.test"
        val process = ProcessBuilder(java, "-cp", classes, "ChatKt", own, own).redirectErrorStream(true)
            .apply { environment() += mapOf("ALDIS_ADDRESS" to address, "ALDIS_ROOTS" to "$roots", "ALDIS_PASSWORD" to password) }
            .start()
        process.outputStream.use { it.write(input.toByteArray()) }
        val said = process.inputStream.bufferedReader().readText()
        return process.waitFor() to said
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
