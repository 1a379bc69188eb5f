package org.aldis

import org.aldis.ffi.PhoneConfig
import org.aldis.ffi.TrustConfig
import java.io.BufferedReader
import java.io.ByteArrayInputStream
import java.security.KeyFactory
import java.security.PrivateKey
import java.security.cert.CertificateFactory
import java.security.spec.PKCS8EncodedKeySpec
import java.util.Base64

/** The embedded registrar as a program of its own; it ends when its standard input does. */
class TestServer : AutoCloseable {
    private val process = ProcessBuilder(requireNotNull(System.getProperty("aldis.testServer")) { "aldis.testServer is not set" })
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
    private val answers: BufferedReader = process.inputStream.bufferedReader()
    private val facts: Map<String, String> = generateSequence { answers.readLine() }
        .takeWhile { it != "ready" }
        .associate { it.substringBefore(' ') to it.substringAfter(' ').replace('|', '\n') }

    val registrar get() = facts.getValue("registrar")
    val impostor get() = facts.getValue("impostor")
    val generous get() = facts.getValue("generous")
    val generousSecond get() = facts.getValue("generous-second")
    val generousRoot get() = facts.getValue("generous-root")
    val vault get() = facts.getValue("vault")
    val closed get() = facts.getValue("closed")
    val root get() = facts.getValue("root")
    val vaultRoot get() = facts.getValue("vault-root")

    val clientCertificates: List<ByteArray>
        get() = CertificateFactory.getInstance("X.509")
            .generateCertificates(ByteArrayInputStream(facts.getValue("client-certificate").toByteArray()))
            .map { it.encoded }

    /** What a keystore would keep to itself. */
    val clientKey: PrivateKey
        get() {
            val text = facts.getValue("client-key").lines().filterNot { it.startsWith("-----") }.joinToString("")
            return KeyFactory.getInstance("EC").generatePrivate(PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)))
        }

    /** Asks the server for something and returns its answer. */
    @Synchronized
    fun ask(line: String): String {
        process.outputStream.write("$line\n".toByteArray())
        process.outputStream.flush()
        return answers.readLine()
    }

    fun config(user: String, address: String = registrar, roots: String = root) =
        PhoneConfig(
            addressOfRecord = "sip:$user@example.test",
            addresses = listOf(address),
            trust = TrustConfig(onlyRoots = roots),
        )

    fun phone(user: String, password: String = if (user == "bob") "builder" else "wonderland", address: String = registrar) =
        Phone(config(user, address), secrets = { password })

    override fun close() {
        process.outputStream.close()
        process.waitFor()
    }
}
